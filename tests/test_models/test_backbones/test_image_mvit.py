import pytest
import torch

from mmvidssl.registry import MODELS
from tests.utils_model import noise

ARCH = dict(embed_dims=8, num_layers=5, num_heads=1, downscale_indices=[1, 2, 4])


def build(kind='ImageMViT', **changes):
    torch.manual_seed(0)
    cfg = dict(type=f'mmvidssl.{kind}', arch=ARCH, spatial_size=64, temporal_size=4, **changes)
    model = MODELS.build(cfg)
    model.init_weights()
    return model.eval()


def test_strides_and_widths():
    features = build()(noise(2, 3, 64, 96))
    sizes = [tuple(feature.shape[1:]) for feature in features]
    assert sizes == [(16, 16, 24), (32, 8, 12), (64, 4, 6), (64, 2, 3)]


def test_some_scales():
    assert [f.shape[1] for f in build(out_scales=[1, 3])(noise(1, 3, 64, 64))] == [32, 64]


def test_an_image_is_a_still_clip():
    images = noise(2, 3, 64, 96)
    ours, video = build(), build('MViT', out_scales=[0, 1, 2, 3], output_cls_token=False)
    video.load_state_dict(ours.state_dict())
    clip = torch.stack([images, images], dim=2)
    for feature, expected in zip(ours(images), video(clip), strict=True):
        assert expected.shape[2] == 1
        assert torch.equal(feature, expected[:, :, 0])


@pytest.mark.parametrize('size', [(64, 64), (96, 160)])
def test_every_parameter_learns(size):
    model = build(rel_pos_zero_init=False).train()
    sum((f * noise(*f.shape)).sum() for f in model(noise(1, 3, *size))).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert not idle
