"""Configs of Kinetics, run with mmaction2."""

import copy
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, init_default_scope

from mmvidssl.registry import MODELS
from tests.test_downstream import utils
from tests.test_downstream.utils_action import (
    AS_MVIT,
    build_full,
    check_common,
    check_name,
    check_run,
    coverage_at_full_size,
    pretraining_config,
    shrink_recognizer,
    write_videos,
)
from tests.test_downstream.utils_dense import (
    check_header,
    check_metafile,
    configs_of,
    read_config,
)
from tests.utils_config import changes

PATHS = configs_of('kinetics')
EACH = pytest.mark.parametrize('name', PATHS)
SMALL = 'mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400'
PAPER = SMALL.replace('100e', 'paper-200e')
SCRATCH = 'mvit-small_scratch_16xb16-amp-16x4x1-200e_k400'
LARGE = 'mvit-large_maskfeat-k400-pre_32xb8-amp-16x4x1-75e_k400'
LONG = 'mvit-large_maskfeat-k400-pre_32xb2-amp-40x3x1-312px-30e_k400'
VIT = 'vit-small-p16_dora-wt-pre_8xb32-amp-1x1x8-50e_k400'
NUM_CLASSES = dict(k400=400, k600=600, k700=700)
PROBES = [name for name in PATHS if name.startswith(('linear', 'attentive'))]
COPIES = [name for name in PATHS if re.search('k[67]00', name)]
ORIGINALS = [name for name in PATHS if name not in COPIES and 'own-data' not in name]


@EACH
def test_configs_say_what_they_are(name):
    check_header(PATHS[name])
    cfg = read_config(PATHS[name])
    fresh = ['norm3.*'] if 'maskfeat' in name and name not in PROBES else []
    check_common(cfg, allow_new=None if 'scratch' in name else fresh)
    check_metafile(PATHS[name], build_full(cfg))
    num_classes = NUM_CLASSES.get(name.split('_')[-1], 2)
    assert cfg.model.cls_head.num_classes == num_classes
    blending = cfg.model.data_preprocessor.blending
    assert (blending is None) is (name in PROBES)
    if blending:
        assert [(a.type, a.num_classes) for a in blending.augments] == [
            ('MixupBlending', num_classes),
            ('CutmixBlending', num_classes),
        ]
    for part in ('train', 'val', 'test'):
        ann_file = cfg[f'{part}_dataloader'].dataset.ann_file
        assert f'kinetics{num_classes}' in ann_file or 'own-data' in name
        assert ('train' in ann_file) == (part == 'train')


@pytest.mark.parametrize('name', [*ORIGINALS, *COPIES])
def test_file_names_state_batch_and_schedule(name):
    check_name(PATHS[name])


@pytest.mark.parametrize('name', COPIES)
def test_kinetics_600_and_700_differ_in_classes_and_paths_alone(name):
    """So that it is enough to build and to train those of Kinetics-400."""
    cfg, number = Config.fromfile(PATHS[name]), re.search('k([67]00)$', name)[1]
    assert pretraining_config(cfg).stem.endswith(f'_k{number}')
    original = Config.fromfile(PATHS[re.sub('k[67]00', 'k400', name)])
    assert original.model.backbone.init_cfg.checkpoint == original.pretrained
    changed = changes(original, cfg)
    assert all(number in str(value) for value in changed.values())
    assert {key.split('.')[-1] for key in changed if key.startswith('model')} == {
        'checkpoint',
        'num_classes',
    }
    data = {'train': 2, 'val': 2, 'test': 2}  # lists and folders
    for part, count in data.items():
        keys = [key for key in changed if key.startswith(f'{part}_dataloader')]
        assert sum('pipeline' not in key for key in keys) == len(keys) == count
    assert not any(key.startswith(('optim', 'param', 'train_cfg')) for key in changed)


def test_vit_base_differs_in_size_alone():
    small, base = (Config.fromfile(PATHS[VIT.replace('small', size)]) for size in ('small', 'base'))
    assert changes(small, base).keys() == {
        'pretrained',
        'model.backbone.arch',
        'model.backbone.init_cfg.checkpoint',
        'model.cls_head.in_channels',
    }


@EACH
def test_the_rate_follows_the_batch(name):
    """As docs/en/tutorials/downstream_action.md says; MaskFeat's as in the released code."""
    cfg = read_config(PATHS[name])
    assert cfg.auto_scale_lr.enable
    if name.startswith('mvit-small_maskfeat'):
        rate = cfg.optim_wrapper.optimizer.lr / cfg.auto_scale_lr.base_batch_size
        assert rate == pytest.approx(6e-4 / 16)


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        (SMALL, dict(decay=0.75, drop_path=0.1, epochs=100, warmup=20)),
        (PAPER, dict(decay=0.75, drop_path=0.1, epochs=200, warmup=5)),
        (LARGE, dict(decay=0.875, drop_path=0.2, epochs=75, warmup=5)),
    ],
)
def test_recipe_of_the_released_code(name, options):
    cfg = Config.fromfile(PATHS[name])
    head, wrapper = cfg.model.cls_head, cfg.optim_wrapper
    assert wrapper.paramwise_cfg == dict(layer_decay_rate=options['decay'])
    assert wrapper.optimizer == dict(type='AdamW', lr=9.6e-3, betas=(0.9, 0.999), weight_decay=0.05)
    assert wrapper.clip_grad.max_norm == 5
    assert cfg.model.backbone.drop_path_rate == options['drop_path']
    assert (head.init_scale, head.label_smooth_eps, head.dropout_ratio) == (0.001, 0.1, 0)
    assert cfg.train_cfg.max_epochs == options['epochs']
    assert cfg.param_scheduler[0].warmup == options['warmup']


def test_erasing_is_cut_off_noise():
    """As the config and docs/en/tutorials/downstream_action.md say: one place of all frames."""
    init_default_scope('mmaction')
    cfg = Config.fromfile(PATHS[SMALL])
    (step,) = (s for s in cfg.augment if s.type == 'RandomErasing')
    preprocessor = cfg.model.data_preprocessor
    erase = TRANSFORMS.build(dict(step, erase_prob=1.0))
    np.random.seed(0)  # noqa: NPY002  (mmaction2 draws from it)
    assert step.erase_prob == 0.25 and step.mode == 'rand'
    frames = [np.full((224, 224, 3), 7, np.uint8) for _ in range(4)]
    clip = np.stack(erase.transform(dict(imgs=frames))['imgs'])
    erased = (clip != 7).any(axis=(0, 3))
    rows, columns = erased.nonzero()
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    assert erased[top:bottom, left:right].all()
    patches = clip[:, top:bottom, left:right]
    assert not np.array_equal(patches[0], patches[1])
    noise = (patches - np.array(preprocessor.mean)) / preprocessor.std
    assert noise.min() == pytest.approx(-2) and noise.max() == pytest.approx(2.444, abs=1e-3)
    share = ((patches == 0) | (patches == 255)).mean()
    assert share == pytest.approx(0.03, abs=0.005)
    assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize('name', [n for n in ORIGINALS if 'vit-base' not in n and n != SCRATCH])
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    """All tensors but those of another place in the file, at full size."""
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    assert not coverage.mismatched
    assert not coverage.renamed
    if 'dora' in name:
        assert not coverage.missing
        assert not coverage.interpolated
        return
    assert set(coverage.missing) == {'norm3.weight', 'norm3.bias'}
    assert set(coverage.unexpected) == {'mask_token', 'norm2.weight', 'norm2.bias'}
    blocks = {int(key.split('.')[1]) for key in coverage.interpolated}
    num_blocks = 48 if 'large' in name else 16
    first = 0 if '312px' in name else num_blocks - (3 if 'large' in name else 1)
    assert blocks == set(range(first, num_blocks))


def test_the_full_vit_base_builds():
    model = build_full(Config.fromfile(PATHS[VIT.replace('vit-small', 'vit-base')]))
    assert model.backbone.embed_dims == model.cls_head.in_channels == 768


def test_pooled_is_the_norm_of_the_mean():
    utils.register_all_modules(init_default_scope=False)
    cfg = dict(type='mmvidssl.PooledMViT', arch=utils.FINETUNING_ARCH, spatial_size=64)
    cfg.update(temporal_size=4)
    torch.manual_seed(0)
    pooled = MODELS.build(cfg).eval()
    maps = MODELS.build(dict(cfg, type='mmvidssl.MViT', output_cls_token=False)).eval()
    pooled.init_weights()
    maps.load_state_dict(pooled.state_dict())
    clip = torch.randn(2, 3, 4, 64, 64)
    maps.norm3 = torch.nn.Identity()
    (tokens,) = maps(clip)
    (out,) = pooled(clip)
    assert out.shape == (2, utils.MVIT_WIDTH, 1, 1, 1)
    expected = pooled.norm3(tokens.mean((2, 3, 4)))
    torch.testing.assert_close(out.flatten(1), expected)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Kinetics-400 at the configs' paths."""
    folder = tmp_path_factory.mktemp('kinetics')
    data = folder / 'data/kinetics400'
    write_videos(data / 'videos_train', data / 'kinetics400_train_list_videos.txt', 4)
    write_videos(data / 'videos_val', data / 'kinetics400_val_list_videos.txt', 2)
    return folder


@pytest.mark.parametrize(('name', 'published'), [(SMALL, False), (LONG, True), (VIT, False)])
def test_trains_and_tests(name, published, folder, pretrained, monkeypatch, tmp_path):
    """From a training checkpoint or a published backbone."""
    monkeypatch.chdir(folder)
    runner = check_run(PATHS[name], pretrained, tmp_path, published)
    samples = 2 if 'mvit-small' in name and name != PAPER else 1
    batch = next(iter(runner.train_dataloader))
    assert len(batch['inputs']) == 2 * samples
    assert runner.model.cls_head.fc_cls.out_features == 400
    depths = {group['depth'] for group in runner.optim_wrapper.optimizer.param_groups}
    assert depths == set(range(8 if name.startswith('mvit') else 14))


@pytest.fixture(scope='module')
def own_videos(tmp_path_factory):
    """Of two classes, in the lists that tools/datasets/list_videos.py writes."""
    folder = tmp_path_factory.mktemp('own')
    for part, number in (('train', 4), ('val', 2)):
        write_videos(folder, folder / f'{part}.txt', number)
    (folder / 'classes.txt').write_text('one\ntwo\n')
    return folder


@pytest.mark.parametrize('name', PROBES)
def test_probes_train_what_is_behind_a_frozen_backbone(
    name, own_videos, pretrained, monkeypatch, tmp_path
):
    """For two steps, from the file of pretraining, and a validation."""
    is_mvit = 'mvit' in name
    monkeypatch.setenv('DATA_ROOT', str(own_videos))
    cfg = Config.fromfile(PATHS[name])
    cfg = shrink_recognizer(cfg, pretrained.maskfeat if is_mvit else pretrained.dora, tmp_path)
    if is_mvit:
        cfg.model.backbone.update(arch=utils.PRETRAINING_ARCH, frozen_stages=6)
    if 'neck' in cfg.model:
        cfg.model.neck.update(in_channels=cfg.model.cls_head.in_channels, num_heads=2)
    runner, start = utils.train(cfg)
    assert runner.iter == 2
    prefix, checkpoint = cfg.model.backbone.init_cfg.prefix, cfg.model.backbone.init_cfg.checkpoint
    trained = runner.model.state_dict()
    for state in (start, trained):
        rules = dict(interpolated=AS_MVIT['interpolated']) if is_mvit else {}
        utils.assert_backbone_loaded(state, checkpoint, prefix, left_over=(), **rules)
    moved = {key for key, value in start.items() if not torch.equal(value, trained[key])}
    learns = {'cls_head.fc_cls.weight', *(['neck.query'] if 'neck' in cfg.model else [])}
    assert learns <= moved and all(key.startswith(('cls_head.', 'neck.')) for key in moved)
    assert ('neck' in cfg.model) is name.startswith('attentive')


def test_class_scores_are_those_of_the_mean_frame(folder, pretrained):
    """mmaction2's TSN on class tokens: one score a video, whatever the number of frames."""
    cfg = shrink_recognizer(Config.fromfile(PATHS[VIT]), pretrained.dora, folder)
    init_default_scope('mmaction')
    utils.register_all_modules(init_default_scope=False)
    model = MODELS.build(copy.deepcopy(cfg.model)).eval()
    model.init_weights()
    frames = torch.randn(2, 8, 3, 64, 64)
    with torch.no_grad():
        scores = model(frames, stage='head')
        tokens = model.backbone(frames.flatten(0, 1))[0].unflatten(0, (2, 8)).mean(1)
    torch.testing.assert_close(scores, model.cls_head.fc_cls(tokens))
