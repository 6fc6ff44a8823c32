"""Misspelt options of a config."""

import pytest

from mmvidssl.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from tests.utils_model import backbone_cfg, dora_cfg


@pytest.mark.parametrize(
    'registry, cfg, message',
    [
        (MODELS, dora_cfg(maskin='none'), "DoRA .*'maskin'.*'masking'"),
        (MODELS, dora_cfg(tracker=dict(type='MultiObjectTracker', num_object=3)), "'num_objects'"),
        # of a base in another library
        (MODELS, backbone_cfg(drop_path=0.1), "DINOViT .*'drop_path_rate'"),
        (MODELS, dict(type='MaskFeatMViT', spatial_sizes=32), "'spatial_size'"),
        (MODELS, dict(type='DINOLoss', qqq=1), "'qqq': it has .*student_temp"),
        (HOOKS, dict(type='FreezeLastLayerHook', num_epoch=1), "'num_epochs'"),
        (TRANSFORMS, dict(type='ClipRandomFlip', prop=1), "'prob'"),
    ],
)
def test_misspelt_options_are_told_with_what_was_meant(registry, cfg, message):
    with pytest.raises(TypeError, match=message):
        registry.build({**cfg, 'type': f'mmvidssl.{cfg["type"].removeprefix("mmvidssl.")}'})


@pytest.mark.parametrize(
    'registry, kind, option, instead',
    [
        (MODELS, 'MaskFeatMViT', 'num_recompute_blocks', 'set with_cp'),
        (MODELS, 'HOGGenerator', 'interpolate_bins', 'one bin'),
        (TRANSFORMS, 'DecodeClip', 'on_reopen', 'raise max_open'),
        (TRANSFORMS, 'ClipRandAugment', 'fill', 'gray'),
        (HOOKS, 'DataFailureHook', 'interval', '20 iterations'),
        (DATASETS, 'VideoListDataset', 'delimiter', 'leave it out'),
        (DATASETS, 'LongVideoDataset', 'max_retries', 'once more'),
    ],
)
def test_removed_options_are_told_as_such(registry, kind, option, instead):
    with pytest.raises(TypeError, match=f"{kind} .*'{option}' any more: .*{instead}"):
        registry.build({'type': f'mmvidssl.{kind}', option: 3})


def test_a_value_of_a_removed_option_that_changes_nothing_is_let_pass():
    """Configs in checkpoints of earlier versions may state it."""
    MODELS.build(dict(type='mmvidssl.HOGGenerator', interpolate_bins=False))
