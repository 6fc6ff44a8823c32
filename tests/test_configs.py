"""Every config: it can be built, and its name and header say what is in it."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import OPTIMIZERS, DefaultScope
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.runner import Runner
from mmpretrain.models import VisionTransformer
from modelindex import load_model_index as modelindex

from mmvidssl import registry
from mmvidssl.engine.optimizers import use_mixed_precision
from mmvidssl.utils import register_all_modules
from mmvidssl.utils.checks import check_top_level
from tests.utils_video import write_video

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)
EACH = pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)

NAME = re.compile(
    r'(?P<method>[a-z]+)_vit-(?P<size>tiny|small|base)-p(?P<patch>\d+)_'
    r'(?P<gpus>\d+)xb(?P<batch>\d+)(-accum(?P<accum>\d+))?(?P<amp>-amp)?-coslr-(?P<length>\d+)(?P<unit>[ei])_(?P<data>.+)'
)


@pytest.fixture(autouse=True)
def scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)())
    register_all_modules()


@pytest.fixture(scope='module')
def video_path(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'video.mp4', num_frames=12)


def test_there_are_configs():
    assert {path.parent.name for path in CONFIGS} >= {'dino', 'dora'}


@EACH
def test_model_builds(path):
    cfg = Config.fromfile(path)
    check_top_level(cfg)
    cfg.model.neck.num_prototypes = 32  # or 200 MB a model
    cfg.model.target_generator.num_prototypes = 32
    model = registry.MODELS.build(cfg.model)
    assert type(model).__name__.lower() == path.parent.name
    assert model.neck.mlp[0].in_features == model.backbone.embed_dims


@EACH
def test_prototypes_agree(path):
    model = Config.fromfile(path).model
    assert model.neck.num_prototypes == model.target_generator.num_prototypes


def types_in(pipeline):
    for transform in pipeline:
        yield transform.type
        for key, value in transform.items():
            if key.endswith('transforms'):
                yield from types_in(value)


@EACH
def test_every_type_is_registered(path):
    cfg = Config.fromfile(path)
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
    for transform in Config.fromfile(path).train_dataloader.dataset.pipeline:
        registry.TRANSFORMS.build(transform)


@EACH
def test_name_agrees_with_values(path):
    name = NAME.fullmatch(path.stem)
    assert name, 'the name must follow {method}_{backbone}_{gpus}xb{batch}...-{length}_{data}'
    cfg = Config.fromfile(path)
    assert cfg.model.type.lower() == name['method'] == path.parent.name
    arch = cfg.model.backbone.arch
    assert arch in VisionTransformer.arch_zoo and arch == f'deit-{name["size"]}'
    assert cfg.model.backbone.patch_size == int(name['patch'])
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert (cfg.optim_wrapper.type == 'PerParamClipAmpOptimWrapper') is bool(name['amp'])
    length = cfg.train_cfg.max_epochs if name['unit'] == 'e' else cfg.train_cfg.max_iters
    assert length == int(name['length'])
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == int(name['accum'] or 1)
    if name['data'].startswith('wt-'):
        cities = name['data'].removeprefix('wt-')
        expected = 'all' if cities == 'all' else cities.split('-')
        assert cfg.train_dataloader.dataset.cities == expected


@EACH
def test_learning_rate_is_scaled_by_the_clips_of_a_step(path):
    """MMEngine's scaling knows nothing of accumulation; the stated rate is for 256 clips."""
    cfg = Config.fromfile(path)
    if cfg.auto_scale_lr.enable:
        passes = cfg.optim_wrapper.get('accumulative_counts', 1)
        assert cfg.auto_scale_lr.base_batch_size * passes == 256


@EACH
def test_center_moves_as_far_in_a_step(path):
    cfg = Config.fromfile(path)
    passes = cfg.optim_wrapper.get('accumulative_counts', 1)
    kept = (1 - cfg.model.target_generator.center_momentum) ** passes
    assert kept == pytest.approx(0.9, abs=1e-3)


def test_one_gpu_takes_the_steps_of_eight():
    one, eight = (
        Config.fromfile(ROOT / f'configs/dora/dora_vit-small-p16_{name}-100e_wt-venice.py')
        for name in ('1xb16-accum8-amp-coslr', '8xb16-amp-coslr')
    )
    assert one.optim_wrapper.accumulative_counts == 8
    for cfg in (one, eight):
        cfg.optim_wrapper.pop('accumulative_counts', None)
        cfg.model.backbone.pop('with_cp', None)
        cfg.model.target_generator.pop('center_momentum')
        cfg.pop('auto_scale_lr')
    assert one.to_dict() == eight.to_dict()


def test_metafiles_list_the_configs():
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    index.check()
    assert not index.check_errors
    models = {model.name: model for model in index.models}
    assert set(models) == {path.stem for path in CONFIGS}
    for path in CONFIGS:
        model = models[path.stem]
        assert model.config == path.relative_to(ROOT).as_posix()
        assert model.results is None or not model.results.data, 'nothing has been measured'
        assert model.full_model.paper['URL'].startswith('https://')
        check_metadata(model.metadata.data, path)


def check_metadata(metadata, path):
    cfg, name = Config.fromfile(path), NAME.fullmatch(path.stem)
    backbone = registry.MODELS.build(cfg.model.backbone)
    assert metadata['Parameters'] == sum(p.numel() for p in backbone.parameters())
    clips = int(name['gpus']) * int(name['batch']) * int(name['accum'] or 1)
    assert metadata['Batch Size'] == clips
    unit = dict(e='Epochs', i='Iterations')[name['unit']]
    assert metadata[unit] == int(name['length'])


@EACH
def test_schedules_end_with_the_run(path):
    cfg = Config.fromfile(path)
    by_epoch = cfg.train_cfg.type == 'ResumableEpochTrainLoop'
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    for scheduler in cfg.param_scheduler:
        assert scheduler.by_epoch is by_epoch
    assert [s.end for s in cfg.param_scheduler[1:]] == [length, length]
    warmup, cosine, decay = cfg.param_scheduler
    assert warmup.begin == decay.begin == 0
    assert warmup.end == cosine.begin
    assert cosine.T_max == length - warmup.end and decay.T_max == length


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
        cfg = Config.fromfile(path)
        if cfg.model.type != 'DoRA':
            continue
        cfg.merge_from_dict({'model.preset': preset})
        cfg.model.neck.num_prototypes = cfg.model.target_generator.num_prototypes = 32
        model = registry.MODELS.build(cfg.model)
        assert model.tracker.threshold == dict(paper='map', official='batch')[preset]


@EACH
def test_parts_accept_each_other(path, tmp_path, video_path):
    """A real runner with the config's own hooks, loop and wrapper, up to before the first step."""
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = f'{path.stem}-{tmp_path.name}'
    arch = dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48)
    cfg.model.backbone.arch = arch
    cfg.model.neck.in_channels = 24
    cfg.model.neck.num_prototypes = cfg.model.target_generator.num_prototypes = 16
    use_mixed_precision(cfg.optim_wrapper, 'cpu') if '-amp' in path.stem else None
    assert cfg.optim_wrapper.type.startswith('PerParamClip')
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset = dict(
        type='LongVideoDataset',
        videos=[str(video_path)],
        clip_len=2,
        frame_interval=2,
        interval_unit='frames',
        pipeline=pipeline,
    )
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner.call_hook('before_run')
    runner.call_hook('before_train')
    runner.call_hook('after_train')


@EACH
def test_a_worker_keeps_all_videos_of_walking_tours_open(path):
    """Each is slow to open, and samples are shuffled over them."""
    dataset = Config.fromfile(path).train_dataloader.dataset
    if dataset.type == 'WalkingToursDataset':
        num_videos = 10 if dataset.cities == 'all' else len(dataset.cities)
        assert dataset.pipeline[0].max_open >= num_videos
