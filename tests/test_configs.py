"""Every config: it can be built, and its name and header say what is in it."""

import copy
import functools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS, DefaultScope
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.runner import Runner
from mmpretrain.models import VisionTransformer
from modelindex import load_model_index as modelindex
from torch import nn

from mmvidssl import registry
from mmvidssl.engine.optimizers import use_mixed_precision
from mmvidssl.utils import register_all_modules
from mmvidssl.utils.checks import check_top_level
from tests.utils_video import write_video

ROOT = Path(__file__).parents[1]
# Those of fine-tuning have tests of their own in tests/test_downstream.
OTHERS = {'_base_', 'downstream'}
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if not OTHERS & set(p.parts))


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
EACH_DISTILLATION = each('dino', 'dora')
EACH_MASKFEAT = each('maskfeat')

NAME = re.compile(
    r'(?P<method>[a-z]+)(-(?P<variant>[a-z0-9-]+))?_'
    r'(?P<net>vit|mvit)-(?P<size>nano|tiny|small|base|large)(-p(?P<patch>\d+))?_'
    r'(?P<gpus>\d+)xb(?P<batch>\d+)(-accum(?P<accum>\d+))?(?P<amp>-amp)?-coslr-(?P<length>\d+)(?P<unit>[ei])_(?P<data>.+)'
)
# Clips, or images, that the stated learning rate is for.
CLIPS_OF_RATE = dict(dino=256, dora=256, maskfeat=512)
IMAGES_OF_RATE = 2048
MASKS = ('CubeMask', 'TubeMask', 'FrameMask', 'RandomMask', 'BlockMask')


@pytest.fixture(autouse=True)
def scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)())
    register_all_modules()


@pytest.fixture(scope='module')
def media(tmp_path_factory):
    """A folder with a video and an image."""
    folder = tmp_path_factory.mktemp('media')
    write_video(folder / 'video.mp4', num_frames=12)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    header = b'P6 64 48 255\n'
    (folder / 'image.ppm').write_bytes(header + pixels.tobytes())
    return folder


def build_without_memory(cfg):
    """A model of whatever size, whose parameters have shapes and no numbers."""
    with torch.device('meta'):
        return registry.MODELS.build(cfg)


class Record(Hook):
    """The parameters when training begins."""

    def before_train(self, runner):
        self.start = {name: p.detach().clone() for name, p in runner.model.named_parameters()}


def test_there_are_configs():
    assert {folder_of(path) for path in CONFIGS} >= {'dino', 'dora', 'maskfeat'}


@EACH
def test_model_builds(path):
    cfg = load(path)
    check_top_level(cfg)
    # mmpretrain's ResNet reads numbers from a tensor as it is built.
    has_numbers = 'classifier' in cfg.model.target_generator
    model = (registry.MODELS.build if has_numbers else build_without_memory)(cfg.model)
    assert type(model).__name__.lower() == folder_of(path)
    if folder_of(path) == 'maskfeat':
        assert model.neck.in_channels == model.backbone.out_channels
        assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.neck.modules())
    else:
        assert model.neck.mlp[0].in_features == model.backbone.embed_dims


@EACH_DISTILLATION
def test_prototypes_agree(path):
    model = load(path).model
    assert model.neck.num_prototypes == model.target_generator.num_prototypes


@EACH_MASKFEAT
def test_normalisation_is_told_to_those_who_need_it(path):
    """The pixels that a frozen model sees were normalised for the student."""
    model = load(path).model
    stated = model.target_generator.get('input_norm')
    if stated is not None:
        assert stated.to_dict() == {k: model.data_preprocessor[k] for k in ('mean', 'std')}
    elif model.target_generator.get('ema'):
        return  # the student's average sees what the student sees
    elif any(name in model.target_generator for name in ('teacher', 'tokenizer', 'classifier')):
        pytest.fail('the target generator has a model of its own, but no input_norm')


def types_in(pipeline):
    for transform in pipeline:
        yield transform.type
        for key, value in transform.items():
            if key.endswith('transforms'):
                yield from types_in(value)


@EACH
def test_every_type_is_registered(path):
    cfg = load(path)
    dataset = cfg.train_dataloader.dataset
    wanted = [
        (registry.DATASETS, [dataset.type]),
        (registry.DATA_SAMPLERS, [cfg.train_dataloader.sampler.type]),
        (registry.TRANSFORMS, types_in(dataset.pipeline)),
        (registry.HOOKS, [hook.type for hook in cfg.custom_hooks]),
        (registry.HOOKS, [hook.type for hook in cfg.default_hooks.values()]),
        (registry.PARAM_SCHEDULERS, [scheduler.type for scheduler in cfg.param_scheduler]),
        (registry.OPTIM_WRAPPERS, [cfg.optim_wrapper.type]),
        (registry.OPTIM_WRAPPER_CONSTRUCTORS, [cfg.optim_wrapper.constructor]),
        (OPTIMIZERS, [cfg.optim_wrapper.optimizer.type]),
        (registry.LOOPS, [cfg.train_cfg.type]),
        (MMENGINE_VISUALIZERS, [cfg.visualizer.type]),
    ]
    if 'reader' in dataset:
        wanted.append((registry.VIDEO_READERS, [dataset.reader.type]))
    for where, types in wanted:
        for name in types:
            assert where.get(name) is not None, f'{name} is not a {where.name}'


@EACH
def test_transforms_build(path):
    for transform in load(path).train_dataloader.dataset.pipeline:
        registry.TRANSFORMS.build(transform)


@EACH
def test_name_agrees_with_values(path):
    name = NAME.fullmatch(path.stem)
    assert name, 'the name must follow {method}_{backbone}_{gpus}xb{batch}...-{length}_{data}'
    cfg = load(path)
    assert cfg.model.type.lower() == name['method'] == folder_of(path)
    check_backbone(cfg.model.backbone, name)
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    amp = 'AmpOptimWrapper' if name['method'] == 'maskfeat' else 'PerParamClipAmpOptimWrapper'
    assert (cfg.optim_wrapper.type == amp) is bool(name['amp'])
    length = cfg.train_cfg.max_epochs if name['unit'] == 'e' else cfg.train_cfg.max_iters
    assert length == int(name['length'])
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == int(name['accum'] or 1)
    check_data(cfg.train_dataloader.dataset, name['data'])
    assert bool(name['variant']) is ('ablation' in path.parts)
    if name['variant']:
        check_variant(cfg, name['variant'])


def check_backbone(backbone, name):
    assert backbone.type.endswith(dict(vit='ViT', mvit='MViT')[name['net']])
    assert backbone.type.endswith('MViT') is (name['net'] == 'mvit')
    assert backbone.get('patch_size') == (int(name['patch']) if name['patch'] else None)
    if name['size'] == 'nano':
        assert 'embed_dims' in backbone.arch
    elif name['method'] == 'maskfeat':
        assert backbone.arch == name['size']
    else:
        assert backbone.arch in VisionTransformer.arch_zoo
        assert backbone.arch == f'deit-{name["size"]}'


def check_data(dataset, data):
    if data.startswith('wt-'):
        cities = data.removeprefix('wt-').removesuffix('-proxy')
        assert dataset.data_root.endswith('_proxy') is data.endswith('-proxy')
        assert dataset.cities == ('all' if cities == 'all' else cities.split('-'))
    elif data.startswith('k'):
        assert f'kinetics{data[1:]}' in dataset.data_root
    elif data == 'in1k':
        assert dataset.type == 'ImageListDataset' and 'imagenet' in dataset.data_root


def mask_of(cfg):
    (mask,) = (t for t in cfg.train_dataloader.dataset.pipeline if t.type in MASKS)
    return mask


def check_variant(cfg, variant):
    """An ablation differs from the default in what its name says, and in nothing else."""
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
    assert mask.type == masks.get(variant, 'CubeMask')
    assert mask.mask_ratio == (int(ratio[1]) / 100 if ratio else 0.4)
    assert list(mask.mask_window) == [8, 7, 7]


@each('maskfeat')
def test_an_ablation_changes_one_thing(path):
    if 'ablation' not in path.parts:
        return
    default_name = re.sub('^maskfeat-.*?_', 'maskfeat_', path.name)
    default, cfg = (load(p) for p in (path.parents[1] / default_name, path))
    assert cfg.keys() == default.keys()
    changed = {key for key in default if default[key] != cfg[key]}
    if cfg.model.target_generator.get('ema'):  # whose teacher a hook moves
        assert cfg.model.target_generator.teacher == cfg.model.backbone
        *others, mover = cfg.custom_hooks
        assert others == default.custom_hooks and mover.type == 'TeacherMomentumHook'
        changed.remove('custom_hooks')
    assert changed in ({'model'}, {'train_pipeline', 'train_dataloader'})
    parts = {key for key in default.model if default.model[key] != cfg.model[key]}
    assert parts <= {'neck', 'target_generator', 'head'}


@EACH
def test_learning_rate_is_scaled_by_the_clips_of_a_step(path):
    """MMEngine's scaling knows nothing of accumulation."""
    cfg = load(path)
    if cfg.auto_scale_lr.enable:
        of_images = cfg.train_dataloader.dataset.type == 'ImageListDataset'
        passes = cfg.optim_wrapper.get('accumulative_counts', 1)
        expected = IMAGES_OF_RATE if of_images else CLIPS_OF_RATE[folder_of(path)]
        assert cfg.auto_scale_lr.base_batch_size * passes == expected


@EACH_DISTILLATION
def test_center_moves_once_a_step(path):
    """However many passes make it up, by what the released code takes."""
    assert load(path).model.target_generator.get('center_momentum', 0.1) == 0.1


def test_one_gpu_takes_the_steps_of_eight():
    one, eight = (
        load(ROOT / f'configs/dora/dora_vit-small-p16_{name}-100e_wt-venice.py')
        for name in ('1xb16-accum8-amp-coslr', '8xb16-amp-coslr')
    )
    assert one.optim_wrapper.accumulative_counts == 8
    for cfg in (one, eight):
        cfg.optim_wrapper.pop('accumulative_counts', None)
        cfg.model.backbone.pop('with_cp', None)
        cfg.pop('auto_scale_lr')
    assert one.to_dict() == eight.to_dict()


def test_a_proxy_is_trained_on_for_as_many_iterations():
    """A clip starts at one of 4 frames a second, not 60, so that an epoch is a fifteenth."""
    proxy, video = (
        load(ROOT / f'configs/dora/dora_vit-small-p16_8xb16-amp-coslr-{name}.py')
        for name in ('1500e_wt-venice-proxy', '100e_wt-venice')
    )
    assert proxy.train_cfg.max_epochs == 15 * video.train_cfg.max_epochs
    for ours, theirs in zip(proxy.param_scheduler, video.param_scheduler, strict=True):
        for key in {'begin', 'end', 'T_max'} & set(ours):
            assert ours[key] == 15 * theirs[key]
    freeze = [cfg.custom_hooks[2] for cfg in (proxy, video)]
    assert {hook.pop('type') for hook in freeze} == {'FreezeLastLayerHook'}
    assert freeze[0].num_epochs == 15 * freeze[1].num_epochs
    proxy.train_dataloader.dataset.data_root = video.train_dataloader.dataset.data_root
    assert proxy.train_dataloader == video.train_dataloader
    assert proxy.model == video.model


def released_rate(epoch, length, is_image, nodes):
    """PySlowFast's learning rate; its configs state it for one node, and scale it by their number.

    A node takes 32 clips or 256 images a step.
    """
    peak, warmup = (2e-4, 30) if is_image else (1e-4, 10)
    if epoch < warmup:
        return nodes * (1e-6 + (peak - 1e-6) * epoch / warmup)
    share = (1 + math.cos(math.pi * (epoch - warmup) / (length - warmup))) / 2
    return nodes * (1e-6 + (peak - 1e-6) * share)


@EACH_MASKFEAT
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
    schedulers = [
        registry.PARAM_SCHEDULERS.get(scheduler.type).build_iter_from_epoch(
            OptimWrapper(optimizer), epoch_length=iters, **without_type(scheduler)
        )
        for scheduler in cfg.param_scheduler
    ]
    for step in range(iters * length):
        rate = optimizer.param_groups[0]['lr']
        # MMEngine's warm-up reaches its peak a step earlier.
        near = [
            released_rate(max(step + d, 0) / iters, length, is_image, nodes) for d in (-1, 0, 1)
        ]
        assert min(near) * 0.99 <= rate <= max(near) * 1.01, f'epoch {step / iters}'
        for scheduler in schedulers:
            scheduler.step()


def without_type(cfg):
    return {k: v for k, v in cfg.items() if k not in ('type', 'convert_to_iter_based')}


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


@each()
def test_readme_lists_the_config(path):
    readme = (ROOT / 'configs' / folder_of(path) / 'README.md').read_text()
    assert path.relative_to(ROOT / 'configs' / folder_of(path)).as_posix() in readme


@EACH
def test_schedules_end_with_the_run(path):
    cfg = load(path)
    by_epoch = cfg.train_cfg.type == 'ResumableEpochTrainLoop'
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    for scheduler in cfg.param_scheduler:
        assert scheduler.by_epoch is by_epoch
    warmup, cosine, *decay = cfg.param_scheduler
    assert len(decay) == (0 if folder_of(path) == 'maskfeat' else 1)
    assert all(scheduler.end == length for scheduler in (cosine, *decay))
    assert all(scheduler.begin == 0 for scheduler in (warmup, *decay))
    assert warmup.end == cosine.begin
    assert cosine.T_max == length - warmup.end
    assert all(scheduler.T_max == length for scheduler in decay)


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


@pytest.mark.parametrize('preset', ['paper', 'official'])
def test_dora_presets_can_be_chosen_on_the_command_line(preset):
    for path in CONFIGS:
        if folder_of(path) != 'dora':
            continue
        cfg = load(path)
        cfg.merge_from_dict({'model.preset': preset})
        cfg.model.neck.num_prototypes = cfg.model.target_generator.num_prototypes = 32
        model = registry.MODELS.build(cfg.model)
        assert model.tracker.threshold == dict(paper='map', official='batch')[preset]


def narrow(cfg):
    """Make the models of a config small, their inputs and outputs left as they are."""
    vit = dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48)
    if cfg.model.type != 'MaskFeat':
        cfg.model.backbone.arch = vit
        cfg.model.neck.in_channels = 24
        cfg.model.neck.num_prototypes = cfg.model.target_generator.num_prototypes = 16
        return
    if cfg.model.backbone.type == 'MaskFeatViT':
        cfg.model.backbone.arch = vit
        cfg.model.neck.in_channels = 24
    else:
        # Pooled as often as the real one, which decides the token grid.
        cfg.model.backbone.arch = dict(
            embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1, 2]
        )
        cfg.model.neck.in_channels = 32
    target = cfg.model.target_generator
    if target.get('ema'):
        target.teacher = cfg.model.backbone.copy()
        cfg.model.neck.out_channels = cfg.model.neck.in_channels
    elif 'teacher' in target:
        target.teacher = dict(target.teacher, arch=vit, init_cfg=None)
        cfg.model.neck.out_channels = 24
    if 'tokenizer' in target:
        target.tokenizer = dict(target.tokenizer, n_hid=8, init_cfg=None)
    if 'classifier' in target:
        backbone = dict(type='ResNet', depth=18)
        head = dict(target.classifier.head, in_channels=512)
        target.classifier = dict(target.classifier, backbone=backbone, head=head, init_cfg=None)


def small_run(path, work_dir, media):
    """A config with a narrow model and two samples, everything else as it stands."""
    cfg = load(path)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{path.stem}-{work_dir.name}'
    narrow(cfg)
    if '-amp' in path.stem:
        use_mixed_precision(cfg.optim_wrapper, 'cpu')
    loader = cfg.train_dataloader
    loader.update(batch_size=1, num_workers=0, persistent_workers=False)
    pipeline = loader.dataset.pipeline
    if loader.dataset.type in ('VideoListDataset', 'ImageListDataset'):
        suffixes = ['.mp4'] if loader.dataset.type == 'VideoListDataset' else ['.ppm']
        loader.dataset = dict(
            type=loader.dataset.type, data_root=str(media), suffixes=suffixes, pipeline=pipeline
        )
    else:
        loader.dataset = dict(
            type='LongVideoDataset',
            videos=[str(media / 'video.mp4')],
            clip_len=2,
            frame_interval=2,
            interval_unit='frames',
            pipeline=pipeline,
        )
    return cfg


@EACH
def test_parts_accept_each_other(path, tmp_path, media):
    """A real runner with the config's own hooks, loop and wrapper, up to before the first step."""
    cfg = small_run(path, tmp_path, media)
    is_distillation = folder_of(path) in ('dino', 'dora')
    assert ('PerParamClip' in cfg.optim_wrapper.type) is is_distillation
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner.call_hook('before_run')
    runner.call_hook('before_train')
    runner.call_hook('after_train')


def kind_of(path):
    """What decides whether the parts of a MaskFeat config work together."""
    cfg = load(path)
    target = cfg.model.target_generator
    return cfg.model.backbone.type, target.type, target.get('ema', False), mask_of(cfg).type


@pytest.fixture(scope='module')
def one_of_each_kind():
    register_all_modules()
    return {kind_of(p): p for p in reversed(CONFIGS) if folder_of(p) == 'maskfeat'}


@EACH_MASKFEAT
def test_a_step_is_taken(path, tmp_path, media, one_of_each_kind):
    """Pixels to parameters, with the config's own pipeline; one config of each kind."""
    if one_of_each_kind[kind_of(path)] != path:
        return
    cfg = small_run(path, tmp_path, media)
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'CollapseHook']
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=1)
    cfg.param_scheduler = None
    cfg.default_hooks.checkpoint = None
    cfg.auto_scale_lr.enable = False
    runner, record = Runner.from_cfg(cfg), Record()
    runner.register_hook(record)
    runner.train()
    after = dict(runner.model.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    moved = {name for name, value in after.items() if not torch.equal(value, record.start[name])}
    trained = {name for name, value in after.items() if value.requires_grad}
    teachers = {name for name in after if name.startswith('target_generator.')}
    assert moved - teachers == trained
    assert bool(moved & teachers) is cfg.model.target_generator.get('ema', False)


@EACH
def test_a_worker_of_walking_tours_keeps_its_videos_open_or_says_that_it_does_not(path):
    """Samples are shuffled over them; ten open ones of 4K would take 0.6 GB more than four."""
    dataset = load(path).train_dataloader.dataset
    if dataset.type == 'WalkingToursDataset':
        num_videos = 10 if dataset.cities == 'all' else len(dataset.cities)
        decode = dataset.pipeline[0]
        assert decode.max_open <= 4 and dataset.reader.type == 'PyAVReader'
        assert decode.max_open >= num_videos or decode.on_reopen == 'ignore'


def paper_result(config: Path) -> str:
    """What the header of a config says that the paper has."""
    lines = config.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('# Paper:'))
    text = [lines[start].removeprefix('# Paper:')]
    for line in lines[start + 1 :]:
        if not line.startswith('#  '):
            break
        text.append(line.removeprefix('#'))
    return ' '.join(' '.join(text).split())


@pytest.mark.parametrize('metafile', sorted((ROOT / 'configs').rglob('metafile.yml')), ids=str)
def test_metafiles_name_the_papers_numbers_and_not_ours(metafile):
    for entry in yaml.safe_load(metafile.read_text())['Models']:
        metadata = entry['Metadata']
        assert metadata['Paper Result'] == paper_result(ROOT / entry['Config'])
        assert metadata['Our Result'] == 'not measured'
        if 'downstream' in metafile.parts:
            assert re.match(r'\d|none', metadata['Paper Result'])
