"""What loading would do, found out beforehand, is what loading does."""

import copy
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmvidssl.engine import Source, find_coverage, report
from mmvidssl.engine.checkpoint.report import find_prefixes
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
    for name, value in coverage.loaded.items():
        assert torch.equal(after[name], value), name
    for name in (*coverage.missing, *coverage.mismatched):
        assert torch.equal(after[name], before[name]), name
    unloaded = {*coverage.mismatched, *coverage.missing, *coverage.defaults}
    assert after.keys() == coverage.loaded.keys() | unloaded
    assert coverage.num_tensors == len(after) - len(coverage.defaults)


def cover(name):
    saved, own = CASES[name]
    weights = build(saved, 1).state_dict()
    return weights, find_coverage(build(own, 2), weights)


def test_everything_as_it_is():
    weights, coverage = cover('same')
    assert coverage.loaded.keys() == weights.keys()
    assert not coverage.missing and not coverage.unexpected and not coverage.converted


def test_positions_of_another_size():
    weights, coverage = cover('another img_size')
    assert coverage.interpolated == {'pos_embed': ((1, 17, 24), (1, 37, 24))}
    expected = resize_pos_embed(weights['pos_embed'], (4, 4), (6, 6))
    assert torch.equal(coverage.loaded['pos_embed'], expected)


def test_new_and_left_over():
    assert cover('no last norm')[1].unexpected == ['ln1.weight', 'ln1.bias']
    assert cover('a norm of its own')[1].missing == ['ln2.weight', 'ln2.bias']
    assert 'cls_token' in cover('without class token')[1].unexpected


def test_maskfeat_for_fine_tuning():
    _, coverage = cover('MaskFeat')
    assert coverage.renamed == {'norm2.weight': 'norm1.weight', 'norm2.bias': 'norm1.bias'}
    assert set(coverage.interpolated) == {f'blocks.3.attn.rel_pos_{side}' for side in ('h', 'w')}
    assert (
        coverage.unexpected == ['mask_token'] and not coverage.missing and not coverage.mismatched
    )


def test_other_widths_do_not_fit():
    _, coverage = cover('another width')
    assert coverage.mismatched['layers.1.ffn.layers.0.0.weight'] == ((48, 24), (48, 12))
    assert 'layers.2.ln1.weight' in coverage.missing


def test_tied_and_shared_tensors():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
            self.second.weight = self.first.weight

    weights = Tied().state_dict()
    coverage = find_coverage(Tied(), weights)
    assert coverage.loaded.keys() == weights.keys() and not coverage.unexpected


def test_counters_of_batches_that_loading_makes_up():
    """They are neither loaded nor new: a file that lacks them is whole, a foreign one is none."""

    def norm():
        return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    weights = norm().state_dict()
    counted = find_coverage(norm(), weights)
    assert counted.num_tensors == len(counted.loaded) == 7 and not counted.defaults
    del weights['1.num_batches_tracked']
    coverage = find_coverage(norm(), weights)
    assert coverage.num_tensors == len(coverage.loaded) == len(weights) == 6
    assert coverage.defaults == ['1.num_batches_tracked'] and not coverage.missing
    foreign = find_coverage(norm(), {'conv.weight': torch.zeros(1)})
    assert not foreign.loaded and len(foreign.missing) == 6


def test_a_module_that_fails_to_convert():
    module = build(backbone_cfg(), 1)
    weights = dict(module.state_dict(), pos_embed=torch.zeros(1, 15, 24))
    with pytest.raises(ValueError, match='DINOViT cannot convert'):
        find_coverage(module, weights)


def test_prefixes():
    """The teacher's first, then by the number of names."""
    module = nn.ModuleDict(dict(a=nn.Linear(1, 1, bias=False), b=nn.Linear(1, 1, bias=False)))
    names = ('backbone.a', 'backbone.b', 'teacher.backbone.a', 'teacher.backbone.b', 'neck.b')
    weights = {f'{name}.weight': torch.zeros(1) for name in names}
    source = Source('', module, 'file.pth', 'model.')
    both = {'teacher.backbone.': 2, 'backbone.': 2}
    assert list(find_prefixes(source, weights).items()) == [*both.items(), ('neck.', 1)]
    assert find_prefixes(source._replace(prefix='backbone.'), weights) == {'teacher.backbone.': 2}
    assert find_prefixes(source, {'x': torch.zeros(1)}) == {}


def test_words():
    weights, coverage = cover('a norm of its own')
    coverage.other_prefixes = ['teacher.']
    source = Source('backbone', nn.Identity(), 'vit.pth', 'backbone.')
    assert report(source, coverage) == (
        f'backbone: {len(weights)} of {len(weights) + 2} tensors loaded from vit.pth (prefix '
        "'backbone.'); 2 missing (ln2.weight, ln2.bias); also in the file: teacher."
    )
    interpolated = report(source, cover('another img_size')[1])
    assert interpolated.endswith('; 1 interpolated (pos_embed 1x17x24 -> 1x37x24)')
