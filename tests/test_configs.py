"""Every config: its parts can be built, and its name, header and metafile say what is in it."""

import copy
import functools
import math
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import FUNCTIONS
from mmpretrain.models import VisionTransformer
from modelindex import load_model_index as modelindex
from torch import nn

from mmvidssl import registry
from mmvidssl.engine.optimizers import use_mixed_precision
from mmvidssl.utils import register_all_modules
from mmvidssl.utils.checks import check_top_level
from tests.utils_config import changes

ROOT = Path(__file__).parents[1]
# Those of fine-tuning have tests of their own in tests/test_downstream.
OTHERS = {'_base_', 'downstream'}
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if not OTHERS & set(p.parts))

NAME = re.compile(
    r'(?P<method>[a-z]+)(-(?P<variant>[a-z0-9-]+))?_'
    r'(?P<net>vit|mvit)-(?P<size>nano|tiny|small|base|large)(-p(?P<patch>\d+))?_'
    r'(?P<gpus>\d+)xb(?P<batch>\d+)(-accum(?P<accum>\d+))?(?P<amp>-amp)?-coslr-(?P<length>\d+)(?P<unit>[ei])_(?P<data>.+)'
)
# Clips, or images, that the stated learning rate is for.
CLIPS_OF_RATE = dict(dino=256, dora=256, maskfeat=512)
IMAGES_OF_RATE = 2048
MASKS = ('CubeMask', 'TubeMask', 'FrameMask', 'RandomMask', 'BlockMask')


@functools.cache
def parse(path):
    return Config.fromfile(path)


def load(path):
    """A config of its own for each caller; reading one takes much of a test's time."""
    return copy.deepcopy(parse(path))


def folder_of(path):
    """The folder below ``configs``, which is named for the method."""
    return path.relative_to(ROOT / 'configs').parts[0]


def each(*folders):
    paths = [path for path in CONFIGS if not folders or folder_of(path) in folders]
    return pytest.mark.parametrize('path', paths, ids=[path.stem for path in paths])


EACH = each()


@pytest.fixture(autouse=True)
def registered():
    register_all_modules()


def build_without_memory(cfg):
    """A model of whatever size, whose parameters have shapes and no numbers."""
    with torch.device('meta'):
        return registry.MODELS.build(cfg)


def build_schedulers(cfg, optimizer, epoch_length=5):
    """As the runner does, for epochs of so many iterations."""
    schedulers = []
    for scheduler in cfg.param_scheduler:
        length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
        kwargs = dict(scheduler, optimizer=OptimWrapper(optimizer), end=length)
        cls = registry.PARAM_SCHEDULERS.get(kwargs.pop('type'))
        if kwargs.pop('convert_to_iter_based', False):
            kwargs['epoch_length'] = epoch_length
            cls = cls.build_iter_from_epoch
        schedulers.append(cls(**kwargs))
    return schedulers


def test_there_are_configs():
    assert {folder_of(path) for path in CONFIGS} >= {'dino', 'dora', 'maskfeat'}


@EACH
def test_parts_build(path):
    """At full size and with all options, which refuses those that are no more."""
    cfg = load(path)
    check_top_level(cfg)
    # mmpretrain's ResNet reads numbers from a tensor as it is built.
    has_numbers = 'classifier' in cfg.model.target_generator
    model = (registry.MODELS.build if has_numbers else build_without_memory)(cfg.model)
    assert type(model).__name__.lower() == folder_of(path)
    if folder_of(path) == 'maskfeat':
        assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.neck.modules())
    for hook in (*cfg.default_hooks.values(), *cfg.custom_hooks):
        registry.HOOKS.build(hook)
    loader = cfg.train_dataloader
    dataset = registry.DATASETS.build(dict(loader.dataset, lazy_init=True))
    assert len(dataset.pipeline.transforms) == len(loader.dataset.pipeline)
    assert registry.DATA_SAMPLERS.get(loader.sampler.type) and FUNCTIONS.get(loader.collate_fn.type)
    if 'reader' in loader.dataset:
        assert registry.VIDEO_READERS.get(loader.dataset.reader.type)
    is_distillation = folder_of(path) in ('dino', 'dora')
    assert ('PerParamClip' in cfg.optim_wrapper.type) is is_distillation
    if '-amp' in path.stem:
        use_mixed_precision(cfg.optim_wrapper, 'cpu')
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    assert len(build_schedulers(cfg, optimizer)) == (2 if is_distillation else 1)
    assert registry.LOOPS.get(cfg.train_cfg.type)


@each('maskfeat')
def test_models_that_make_targets_know_the_normalisation(path):
    """The algorithm compares it with the data preprocessor's, where it is stated."""
    target = load(path).model.target_generator
    if not target.get('ema') and {'teacher', 'tokenizer', 'classifier'} & target.keys():
        assert 'input_norm' in target


@EACH
def test_name_agrees_with_values(path):
    name = NAME.fullmatch(path.stem)
    assert name, 'the name must follow {method}_{backbone}_{gpus}xb{batch}...-{length}_{data}'
    cfg = load(path)
    assert cfg.model.type.lower() == name['method'] == folder_of(path)
    check_backbone(cfg.model.backbone, name)
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert ('Amp' in cfg.optim_wrapper.type) is bool(name['amp'])
    length = cfg.train_cfg.max_epochs if name['unit'] == 'e' else cfg.train_cfg.max_iters
    assert length == int(name['length'])
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == int(name['accum'] or 1)
    check_data(cfg.train_dataloader.dataset, name['data'])
    assert bool(name['variant']) is ('ablation' in path.parts)
    if name['variant']:
        check_variant(cfg, name['method'], name['variant'])
        if name['method'] == 'maskfeat':
            check_ablation(cfg, path)


def check_backbone(backbone, name):
    assert backbone.type.endswith(dict(vit='ViT', mvit='MViT')[name['net']])
    assert backbone.type.endswith('MViT') is (name['net'] == 'mvit')
    assert backbone.get('patch_size') == (int(name['patch']) if name['patch'] else None)
    if name['size'] == 'nano':
        assert 'embed_dims' in backbone.arch
    elif name['method'] == 'maskfeat':
        assert backbone.arch == name['size']
    elif isinstance(backbone.arch, str):
        assert backbone.arch in VisionTransformer.arch_zoo
        assert backbone.arch == f'deit-{name["size"]}'
    else:  # with another number of heads
        known = VisionTransformer.arch_zoo[f'deit-{name["size"]}']
        assert dict(backbone.arch, num_heads=known['num_heads']) == known


def check_data(dataset, data):
    if data.startswith('wt-'):
        cities = data.removeprefix('wt-').removesuffix('-proxy')
        assert dataset.data_root.endswith('_proxy') is data.endswith('-proxy')
        assert dataset.cities == ('all' if cities == 'all' else cities.split('-'))
        # Ten open videos of 4K would take 0.6 GB more of each worker than four.
        assert dataset.pipeline[0].max_open <= 4 and dataset.reader.type == 'PyAVReader'
    elif data.startswith('k'):
        assert f'kinetics{data[1:]}' in dataset.data_root
    elif data == 'in1k':
        assert dataset.type == 'ImageListDataset' and 'imagenet' in dataset.data_root


def mask_of(cfg):
    (mask,) = (t for t in cfg.train_dataloader.dataset.pipeline if t.type in MASKS)
    return mask


def check_variant(cfg, method, variant):
    """An ablation differs from the default in what its name says, and in nothing else."""
    if method == 'maskfeat':
        check_maskfeat_variant(cfg, variant)
    elif method == 'dino':
        assert variant == 'one-view'
    elif variant == 'videos':
        assert cfg.train_dataloader.dataset.type == 'LongVideoDataset'
    else:
        num_objects = int(variant.removeprefix('k'))
        assert cfg.model.backbone.arch.num_heads == cfg.model.tracker.num_objects == num_objects


def num_global_views(cfg):
    (views,) = (t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'ClipMultiCrop')
    return views.num_global_views


@each('dino')
def test_dino_compares_global_views_unless_its_name_says_one(path):
    assert num_global_views(load(path)) == (1 if 'one-view' in path.stem else 2)


def check_maskfeat_variant(cfg, variant):
    mask, target = mask_of(cfg), cfg.model.target_generator.type
    kinds = {
        'pixels': 'PixelGenerator',
        'features': 'DeepFeatureGenerator',
        'ema-features': 'DeepFeatureGenerator',
        'codes': 'DiscreteTokenGenerator',
        'labels': 'PseudoLabelGenerator',
    }
    masks = {'frame-mask': 'FrameMask', 'tube-mask': 'TubeMask', 'random-mask': 'RandomMask'}
    ratio = re.fullmatch(r'mask(\d+)', variant)
    assert variant in {*kinds, *masks} or ratio
    assert target == kinds.get(variant, 'HOGGenerator')
    assert cfg.model.target_generator.get('ema', False) is (variant == 'ema-features')
    is_image = cfg.train_dataloader.dataset.type == 'ImageListDataset'
    assert mask.type == masks.get(variant, 'BlockMask' if is_image else 'CubeMask')
    assert mask.mask_ratio == (int(ratio[1]) / 100 if ratio else 0.4)
    assert list(mask.mask_window) == ([14, 14] if is_image else [8, 7, 7])


def check_ablation(cfg, path):
    """It differs from the default in nothing else."""
    default = load(path.parents[1] / re.sub('^maskfeat-.*?_', 'maskfeat_', path.name))
    changed = {'.'.join(key.split('.')[:2]) for key in changes(default, cfg)}
    changed = {key for key in changed if key.split('.')[0] != 'norm'}  # a variable
    if cfg.model.target_generator.get('ema'):  # whose teacher a hook moves
        assert cfg.model.target_generator.teacher == cfg.model.backbone
        *others, mover = cfg.custom_hooks
        assert others == default.custom_hooks and mover.type == 'TeacherMomentumHook'
        changed.remove('custom_hooks')
    parts = {'model.neck', 'model.target_generator', 'model.head'}
    assert changed <= parts or changed == {'train_pipeline.3', 'train_dataloader.dataset'}


@EACH
def test_learning_rate_is_scaled_by_the_clips_of_a_step(path):
    """By the runner, and by ScheduleHook those that are accumulated."""
    cfg = load(path)
    if cfg.auto_scale_lr.enable:
        of_images = cfg.train_dataloader.dataset.type == 'ImageListDataset'
        expected = IMAGES_OF_RATE if of_images else CLIPS_OF_RATE[folder_of(path)]
        assert cfg.auto_scale_lr.base_batch_size == expected
    assert cfg.default_hooks.schedule.type == 'ScheduleHook'
    if folder_of(path) != 'maskfeat':
        assert cfg.model.target_generator.center_momentum == 0.1


def test_one_gpu_takes_the_steps_of_eight():
    one, eight = (
        load(ROOT / f'configs/dora/dora_vit-small-p16_{name}-100e_wt-venice.py')
        for name in ('1xb16-accum8-amp-coslr', '8xb16-amp-coslr')
    )
    assert one.optim_wrapper.accumulative_counts == 8
    assert changes(eight, one).keys() == {
        'optim_wrapper.accumulative_counts',
        'model.backbone.with_cp',
    }


def test_a_proxy_is_trained_on_for_as_many_iterations():
    """A clip starts at one of 4 frames a second, not 60, so that an epoch is a fifteenth."""
    proxy, video = (
        load(ROOT / f'configs/dora/dora_vit-small-p16_8xb16-amp-coslr-{name}.py')
        for name in ('1500e_wt-venice-proxy', '100e_wt-venice')
    )
    changed = changes(video, proxy)
    assert changed.pop('data_root') == changed.pop('train_dataloader.dataset.data_root')
    assert {'train_cfg.max_epochs', 'custom_hooks.2.num_epochs'} <= changed.keys()
    for key, value in changes(proxy, video).items():
        assert key not in changed or changed[key] == 15 * value, key


def test_dino_takes_as_many_steps_of_as_many_frames_as_dora():
    """Where each frame is one sample, an epoch has an eighth of the steps."""
    dino, dora = (
        load(ROOT / f'configs/{name}_wt-venice.py')
        for name in (
            'dino/dino_vit-small-p16_8xb128-amp-coslr-800e',
            'dora/dora_vit-small-p16_8xb16-amp-coslr-100e',
        )
    )
    frames = [
        c.train_dataloader.dataset.clip_len * c.train_dataloader.batch_size for c in (dino, dora)
    ]
    assert frames == [128, 128]
    assert dino.train_cfg.max_epochs == 8 * dora.train_cfg.max_epochs
    for ours, theirs in zip(dino.param_scheduler, dora.param_scheduler, strict=True):
        assert ours.get('warmup') == (8 * theirs.warmup if 'warmup' in theirs else None)
    freeze = [cfg.custom_hooks[2].num_epochs for cfg in (dino, dora)]
    assert freeze == [8, 1]


def released_rate(epoch, length, is_image, nodes):
    """PySlowFast's learning rate; its configs state it for one node, and scale it by their number.

    A node takes 32 clips or 256 images a step.
    """
    peak, warmup = (2e-4, 30) if is_image else (1e-4, 10)
    if epoch < warmup:
        return nodes * (1e-6 + (peak - 1e-6) * epoch / warmup)
    share = (1 + math.cos(math.pi * (epoch - warmup) / (length - warmup))) / 2
    return nodes * (1e-6 + (peak - 1e-6) * share)


@each('maskfeat')
def test_learning_rate_is_that_of_the_released_code(path):
    cfg = load(path)
    if NAME.fullmatch(path.stem)['unit'] == 'i':
        return
    is_image = cfg.train_dataloader.dataset.type == 'ImageListDataset'
    wrapper = cfg.optim_wrapper
    assert wrapper.optimizer.type == 'AdamW' and list(wrapper.optimizer.betas) == [0.9, 0.999]
    assert wrapper.optimizer.weight_decay == 0.05 and wrapper.clip_grad.max_norm == 0.02
    nodes = cfg.auto_scale_lr.base_batch_size / (256 if is_image else 32)
    optimizer = torch.optim.AdamW([torch.ones(1)], lr=wrapper.optimizer.lr)
    iters, length = 5, cfg.train_cfg.max_epochs
    schedulers = build_schedulers(cfg, optimizer, iters)
    for step in range(iters * length):
        rate = optimizer.param_groups[0]['lr']
        # MMEngine's warm-up reaches its peak a step earlier.
        near = [
            released_rate(max(step + d, 0) / iters, length, is_image, nodes) for d in (-1, 0, 1)
        ]
        assert min(near) * 0.99 <= rate <= max(near) * 1.01, f'epoch {step / iters}'
        for scheduler in schedulers:
            scheduler.step()


def test_metafiles_list_the_configs():
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    index.check()
    assert not index.check_errors
    models = {model.name: model for model in index.models}
    every = {p.stem for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts}
    assert set(models) == every
    for path in CONFIGS:
        model = models[path.stem]
        assert model.config == path.relative_to(ROOT).as_posix()
        assert model.results is None or not model.results.data, 'nothing has been measured'
        assert model.full_model.paper['URL'].startswith('https://')
        check_metadata(model.metadata.data, path)


def check_metadata(metadata, path):
    cfg, name = load(path), NAME.fullmatch(path.stem)
    backbone = build_without_memory(cfg.model.backbone)
    assert metadata['Parameters'] == sum(p.numel() for p in backbone.parameters())
    clips = int(name['gpus']) * int(name['batch']) * int(name['accum'] or 1)
    assert metadata['Batch Size'] == clips
    unit = dict(e='Epochs', i='Iterations')[name['unit']]
    assert metadata[unit] == int(name['length'])


@EACH
def test_schedules_end_with_the_run(path):
    cfg = load(path)
    by_epoch = cfg.train_cfg.type == 'ResumableEpochTrainLoop'
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    for scheduler in cfg.param_scheduler:
        assert scheduler.by_epoch is by_epoch
        assert not {'begin', 'end', 'T_max'} & scheduler.keys()  # the runner fills them
    rate, *decay = cfg.param_scheduler
    assert rate.type == 'WarmupCosineLR' and rate.warmup < length
    assert len(decay) == (0 if folder_of(path) == 'maskfeat' else 1)


@EACH
def test_header_says_what_was_promised_and_what_was_measured(path):
    lines = path.read_text().splitlines()
    header = '\n'.join(line for line in lines[: lines.index('_base_ = [')] if line)
    assert all(line.startswith('#') for line in header.splitlines())
    for label in ('Paper:', 'Measured:', 'Run:'):
        assert f'# {label}' in header
    command = header.split('Run:')[1]
    if 'dist_train.sh' in command:
        gpus = NAME.fullmatch(path.stem)['gpus']
        assert f'{path.relative_to(ROOT)} {gpus}' in command
    folder = ROOT / 'configs' / folder_of(path)
    assert path.relative_to(folder).as_posix() in (folder / 'README.md').read_text()


@pytest.mark.parametrize('preset', ['paper', 'official'])
@each('dora')
def test_dora_presets_can_be_chosen_on_the_command_line(path, preset):
    cfg = load(path)
    cfg.merge_from_dict({'model.preset': preset})
    if preset == 'official' and cfg.model.tracker.epsilon != 0.05:
        with pytest.raises(ValueError, match='tracker.epsilon=0.05'):
            build_without_memory(cfg.model)
        return
    model = build_without_memory(cfg.model)
    assert model.tracker.threshold == dict(paper='map', official='batch')[preset]
