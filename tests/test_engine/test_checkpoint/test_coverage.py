"""What loading would do, found out beforehand, is what loading does."""

import copy
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmvidssl.engine import find_coverage
from mmvidssl.engine.checkpoint.coverage_text import Source, describe, find_prefixes, report
from mmvidssl.models.utils import resize_pos_embed
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, noise

ARCH = dict(
    embed_dims=8, num_layers=4, num_heads=1, downscale_indices=[1, 2], dim_mul_indices=[1, 2]
)
MVIT = dict(
    type='mmvidssl.MViT',
    arch=ARCH,
    spatial_size=64,
    temporal_size=4,
    adaptive_kv_stride=(1, 4, 4),
)
# Without its last downscaling, as MaskFeat pretrains.
MASKFEAT = dict(MVIT, type='mmvidssl.MaskFeatMViT', arch=dict(ARCH, downscale_indices=[1]))
CASES = {
    'same': (backbone_cfg(), backbone_cfg()),
    'another img_size': (backbone_cfg(), backbone_cfg(img_size=48)),
    'no last norm': (backbone_cfg(), backbone_cfg(final_norm=False)),
    'a norm of its own': (backbone_cfg(), backbone_cfg(out_type='avg_featmap')),
    'without class token': (
        backbone_cfg(),
        dict(backbone_cfg(), type='mmpretrain.VisionTransformer', with_cls_token=False)
        | dict(out_type='featmap'),
    ),
    'MaskFeat': (MASKFEAT, MVIT),
    'another width': (
        backbone_cfg(),
        backbone_cfg(arch=dict(embed_dims=12, num_layers=3, num_heads=2, feedforward_channels=48)),
    ),
    'batch norm': (
        dict(type='mmpretrain.ResNet', depth=18, base_channels=4, stem_channels=4),
        dict(type='mmpretrain.ResNet', depth=34, base_channels=4, stem_channels=4),
    ),
}


@pytest.fixture(autouse=True)
def quiet():
    """MMEngine warns of every tensor that does not fit."""
    MMLogger.get_current_instance().setLevel(logging.ERROR)


def build(cfg, seed):
    model = MODELS.build(copy.deepcopy(cfg))
    for index, value in enumerate(model.state_dict().values()):
        if value.is_floating_point():
            value.copy_(noise(*value.shape, seed=100 * seed + index))
    return model


@pytest.mark.parametrize('saved, own', CASES.values(), ids=CASES)
def test_rehearsal_is_what_mmengine_loads(saved, own):
    weights, module = build(saved, 1).state_dict(), build(own, 2)
    before = copy.deepcopy(module.state_dict())
    coverage = find_coverage(module, weights)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), 'the rehearsal changed the module'
    load_state_dict(module, weights, strict=False)
    after = module.state_dict()
    for name, value in coverage.arrived.items():
        assert torch.equal(after[name], value), name
    for name in (*coverage.new, *coverage.misfits):
        assert torch.equal(after[name], before[name]), name
    unloaded = {*coverage.misfits, *coverage.new, *coverage.defaults}
    assert after.keys() == coverage.arrived.keys() | unloaded
    assert coverage.num_tensors == len(after) - len(coverage.defaults)


def cover(name):
    saved, own = CASES[name]
    weights = build(saved, 1).state_dict()
    return weights, find_coverage(build(own, 2), weights)


def test_everything_as_it_is():
    weights, coverage = cover('same')
    assert set(coverage.as_saved) == weights.keys()
    assert not coverage.new and not coverage.left_over and not coverage.converted


def test_positions_of_another_size():
    weights, coverage = cover('another img_size')
    assert coverage.interpolated == {'pos_embed': ((1, 17, 24), (1, 37, 24))}
    expected = resize_pos_embed(weights['pos_embed'], (4, 4), (6, 6))
    assert torch.equal(coverage.arrived['pos_embed'], expected)


def test_new_and_left_over():
    assert cover('no last norm')[1].left_over == ['ln1.weight', 'ln1.bias']
    assert cover('a norm of its own')[1].new == ['ln2.weight', 'ln2.bias']
    assert 'cls_token' in cover('without class token')[1].left_over


def test_maskfeat_for_fine_tuning():
    _, coverage = cover('MaskFeat')
    assert coverage.renamed == {'norm2.weight': 'norm1.weight', 'norm2.bias': 'norm1.bias'}
    assert set(coverage.interpolated) == {f'blocks.3.attn.rel_pos_{side}' for side in ('h', 'w')}
    assert coverage.left_over == ['mask_token'] and not coverage.new and not coverage.misfits


def test_other_widths_do_not_fit():
    _, coverage = cover('another width')
    assert coverage.misfits['layers.1.ffn.layers.0.0.weight'] == ((48, 24), (48, 12))
    assert 'layers.2.ln1.weight' in coverage.new


def test_tied_and_shared_tensors():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
            self.second.weight = self.first.weight

    weights = Tied().state_dict()
    coverage = find_coverage(Tied(), weights)
    assert set(coverage.as_saved) == weights.keys() and not coverage.left_over


def test_counters_of_batches_that_loading_makes_up():
    """They are neither loaded nor new: a file that lacks them is whole, a foreign one is none."""

    def norm():
        return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    weights = norm().state_dict()
    counted = find_coverage(norm(), weights)
    assert counted.num_tensors == len(counted.arrived) == 7 and not counted.defaults
    del weights['1.num_batches_tracked']
    coverage = find_coverage(norm(), weights)
    assert coverage.num_tensors == len(coverage.arrived) == len(weights) == 6
    assert coverage.defaults == ['1.num_batches_tracked'] and not coverage.new
    foreign = find_coverage(norm(), {'conv.weight': torch.zeros(1)})
    assert not foreign.arrived and len(foreign.new) == 6


def test_a_module_that_fails_to_convert():
    module = build(backbone_cfg(), 1)
    weights = dict(module.state_dict(), pos_embed=torch.zeros(1, 15, 24))
    with pytest.raises(ValueError, match='DINOViT cannot convert the weights to its own shapes'):
        find_coverage(module, weights)


def test_prefixes():
    keys = ['backbone.a.w', 'backbone.b', 'teacher.backbone.a.w', 'teacher.backbone.b', 'neck.b']
    assert find_prefixes(keys, {'a.w', 'b'}) == {
        'backbone.': 2,
        'teacher.backbone.': 2,
        'neck.': 1,
    }
    assert find_prefixes(['module.a.w', 'b'], {'a.w', 'b', 'c'}) == {'module.': 1, '': 1}
    assert find_prefixes(['x'], {'a'}) == {}


def test_words():
    weights, coverage = cover('a norm of its own')
    source = Source('backbone', nn.Identity(), 'vit.pth', 'backbone.')
    assert report(source, coverage) == (
        f'backbone: {len(weights)} of {len(weights) + 2} tensors loaded from vit.pth (prefix '
        f"'backbone.'): {len(weights)} as they are in the file, 2 new (ln2.weight, ln2.bias)"
    )
    assert describe(weights) == '2 blocks (layers.*), patch_embed.projection.weight 24x3x8x8'
    assert describe({}) == '0 tensors'
