import pytest
import torch

from mmvidssl.registry import MODELS
from mmvidssl.utils.init_cfg import listed, names_checkpoint

VIT = dict(arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48))
MVIT = dict(arch=dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1]))
BACKBONES = {
    'DINOViT': dict(VIT, img_size=32, patch_size=8),
    'MaskFeatViT': dict(VIT, img_size=32, patch_size=8),
    'MViT': dict(MVIT, spatial_size=32, temporal_size=4, use_abs_pos_embed=True),
    'MaskFeatMViT': dict(MVIT, spatial_size=32, temporal_size=4, use_abs_pos_embed=True),
}
PRETRAINED = dict(type='Pretrained', checkpoint='weights.pth')
NORMAL = dict(type='Normal', layer='Linear')


@pytest.mark.parametrize(
    ('init_cfg', 'expected'),
    [
        (None, False),
        ([], False),
        (NORMAL, False),
        ([NORMAL], False),
        (PRETRAINED, True),
        ([NORMAL, PRETRAINED], True),
    ],
)
def test_names_checkpoint(init_cfg, expected):
    assert names_checkpoint(init_cfg) == expected
    assert all(isinstance(entry, dict) for entry in listed(init_cfg))


@pytest.mark.parametrize('name', BACKBONES)
def test_a_checkpoint_in_a_list_is_not_initialised_over(name, tmp_path):
    cfg = dict(BACKBONES[name], type=name)
    source = MODELS.build(cfg).state_dict()
    for value in source.values():
        value.normal_()
    path = tmp_path / 'weights.pth'
    torch.save(source, path)
    model = MODELS.build(dict(cfg, init_cfg=[NORMAL, dict(PRETRAINED, checkpoint=str(path))]))
    model.init_weights()
    for key, value in model.state_dict().items():
        assert torch.equal(value, source[key]), key
