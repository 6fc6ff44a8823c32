import pytest
import torch
from mmseg.models.necks import Feature2Pyramid
from torch import nn

from mmvidssl.registry import MODELS
from tests.utils_model import noise

CFG = dict(type='mmvidssl.ViTFeature2Pyramid', embed_dim=6, norm_cfg=dict(type='BN'))


def features(height=4, width=6, count=4):
    return [noise(2, 6, height, width, seed=seed) for seed in range(count)]


def test_strides():
    sizes = [tuple(out.shape) for out in MODELS.build(CFG)(features())]
    assert sizes == [(2, 6, 16, 24), (2, 6, 8, 12), (2, 6, 4, 6), (2, 6, 2, 3)]


def test_same_numbers_as_the_neck_of_mmsegmentation():
    """Which segmentation with BEiT and MAE uses; its parameters have other names."""
    torch.manual_seed(0)
    ours, theirs = MODELS.build(CFG), Feature2Pyramid(6, norm_cfg=dict(type='BN'))
    pairs = zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True)
    for (_, value), (_, other) in pairs:
        assert value.shape == other.shape
        other.copy_(value)
    for out, expected in zip(ours(features()), theirs(features()), strict=True):
        assert torch.equal(out, expected)


def test_maps_are_contiguous():
    """Those of a ViT are permuted tokens; mmcv's RoIAlign takes no notice of it (#2203)."""
    permuted = [x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for x in features()]
    assert not any(x.is_contiguous() for x in permuted)
    neck = MODELS.build(CFG).eval()
    assert all(out.is_contiguous() for out in neck(permuted))
    for out, expected in zip(neck(permuted), neck(features()), strict=True):
        torch.testing.assert_close(out, expected)


def test_norm_is_synchronised_by_default():
    neck = MODELS.build(dict(CFG, norm_cfg=None))
    assert any(isinstance(module, nn.SyncBatchNorm) for module in neck.modules())


@pytest.mark.parametrize('count', [1, 3, 5])
def test_other_numbers_of_blocks_are_refused(count):
    with pytest.raises(ValueError, match=f'{count} outputs.*out_indices'):
        MODELS.build(CFG)(features(count=count))
