import pytest
import torch
from torch import nn

from mmvidssl.engine import check_checkpoint_fits
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg


def model():
    return nn.ModuleDict(dict(backbone=nn.Linear(2, 3), head=nn.Linear(3, 1)))


def test_accepts_its_own_weights():
    state = model().state_dict()
    check_checkpoint_fits(state, model())
    check_checkpoint_fits({f'module.{k}': v for k, v in state.items()}, model())


def test_refuses_less_and_more():
    state = {'backbone.weight': torch.zeros(3, 2), 'other.weight': torch.zeros(1)}
    with pytest.raises(ValueError) as error:
        check_checkpoint_fits(state, model())
    assert 'head.weight: not in the checkpoint' in str(error.value)
    assert 'other.weight: not in the model' in str(error.value)
    assert '4 tensors do not fit' in str(error.value)


def test_refuses_other_shapes():
    state = {**model().state_dict(), 'head.weight': torch.zeros(1, 4)}
    message = r'head.weight: \(1, 4\) in the checkpoint, \(1, 3\) in the model'
    with pytest.raises(ValueError, match=message):
        check_checkpoint_fits(state, model())


def test_long_lists_are_cut():
    state = {f'layer{i}.weight': torch.zeros(1) for i in range(20)}
    with pytest.raises(ValueError, match='24 tensors do not fit(.|\n)*and 16 more'):
        check_checkpoint_fits(state, model())


def vit(**changes):
    return nn.ModuleDict(dict(backbone=MODELS.build(backbone_cfg(**changes))))


def test_another_img_size_is_named():
    message = (
        r"another backbone's img_size; 1 tensors do not fit:\n  backbone.pos_embed: \(1, 37, 24\) "
        r'in the checkpoint, \(1, 17, 24\) in the model \(another img_size\)\nSet img_size'
    )
    with pytest.raises(ValueError, match=message):
        check_checkpoint_fits(vit(img_size=48).state_dict(), vit())


@pytest.mark.parametrize(
    'positions', [torch.zeros(1, 30, 24), torch.zeros(1, 37, 12), torch.zeros(37, 24)]
)
def test_other_positions_are_another_architecture(positions):
    state = {**vit().state_dict(), 'backbone.pos_embed': positions}
    with pytest.raises(ValueError, match='another architecture; 1 tensors do not fit'):
        check_checkpoint_fits(state, vit())


def mvit(**changes):
    arch = dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1])
    cfg = dict(type='mmvidssl.MaskFeatMViT', arch=arch, spatial_size=32, temporal_size=4)
    return nn.ModuleDict(dict(backbone=MODELS.build({**cfg, **changes})))


def test_another_clip_size_of_an_mvit_is_named():
    state = mvit(spatial_size=64, temporal_size=8).state_dict()
    with pytest.raises(ValueError, match=r'rel_pos_h: \(\d+, 8\).*another img_size'):
        check_checkpoint_fits(state, mvit())
