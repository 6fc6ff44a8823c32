"""Configs of each kind take a step: pixels to parameters, with a narrow model."""

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvidssl.engine.optimizers import use_mixed_precision
from mmvidssl.registry import MODELS
from mmvidssl.utils import register_all_modules
from tests.test_configs import CONFIGS, folder_of, load
from tests.utils_gpu import NEEDS_PRETENDED_GPU, pretended_gpu
from tests.utils_model import masked_samples
from tests.utils_video import write_video


def narrow(cfg):
    """Make the models of a config small, their inputs and outputs left as they are."""
    vit = dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48)
    if cfg.model.type != 'MaskFeat':
        cfg.model.backbone.arch = vit
        cfg.model.neck.in_channels = 24
        cfg.model.neck.num_prototypes = cfg.model.target_generator.num_prototypes = 16
        if 'tracker' in cfg.model:
            cfg.model.tracker.num_objects = min(cfg.model.tracker.num_objects, 4)
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
            clip_len=min(loader.dataset.clip_len, 2),
            frame_interval=2,
            interval_unit='frames',
            pipeline=pipeline,
        )
    return cfg


def kind_of(path):
    """What decides whether the parts of a config work together."""
    cfg = load(path)
    if folder_of(path) != 'maskfeat':
        is_one_view = 'one-view' in path.stem
        return (folder_of(path), cfg.train_dataloader.dataset.type, is_one_view)
    target = cfg.model.target_generator
    return cfg.model.backbone.type, target.type, target.get('ema', False)


ONE_OF_EACH_KIND = {kind_of(path): path for path in reversed(CONFIGS)}.values()


@pytest.fixture(scope='module')
def media(tmp_path_factory):
    """A folder with a video and an image."""
    folder = tmp_path_factory.mktemp('media')
    write_video(folder / 'video.mp4', num_frames=12)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    header = b'P6 64 48 255\n'
    (folder / 'image.ppm').write_bytes(header + pixels.tobytes())
    return folder


class Record(Hook):
    """The parameters when training begins, and the losses of a step."""

    def before_train(self, runner):
        self.start = {name: p.detach().clone() for name, p in runner.model.named_parameters()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses = {name for name in outputs if name.startswith('loss_')}


@pytest.mark.parametrize('path', ONE_OF_EACH_KIND, ids=lambda path: path.stem)
def test_a_step_is_taken(path, tmp_path, media):
    """Pixels to parameters, with the config's own pipeline and hooks; one config of each kind."""
    cfg = small_run(path, tmp_path, media)
    others = ('CollapseHook', 'FreezeLastLayerHook')  # which end or change the first step
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type not in others]
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
    teachers = {name for name in after if name.startswith(('target_generator.', 'teacher.'))}
    assert moved - teachers == trained
    has_teacher = folder_of(path) != 'maskfeat' or cfg.model.target_generator.get('ema', False)
    assert bool(moved & teachers) is has_teacher
    if folder_of(path) == 'dino':
        between_globals = set() if 'one-view' in path.stem else {'loss_global'}
        assert record.losses == {'loss_local'} | between_globals


@NEEDS_PRETENDED_GPU
@pytest.mark.parametrize('path', ONE_OF_EACH_KIND, ids=lambda path: path.stem)
def test_all_is_computed_on_a_gpu(path):
    """In float16, losses and health figures: no tensor is made elsewhere, no number is read."""
    register_all_modules()
    cfg = load(path)
    narrow(cfg)
    if 'tracker' in cfg.model:  # reads the number of draws
        cfg.model.tracker.heads = range(cfg.model.tracker.num_objects)
    model = MODELS.build(cfg.model).train()
    model.measure_health = True
    window, clip_len = (1, 14, 14), 1
    if 'mvit' in path.stem:
        window, clip_len = (8, 7, 7), 16
    with pretended_gpu(model, num_found=5):
        clips = [torch.zeros(3, clip_len, 224, 224, dtype=torch.uint8)] * 2
        small = [torch.zeros(3, clip_len, 112, 112, dtype=torch.uint8)] * 2
        samples = masked_samples(*[torch.ones(window, dtype=torch.bool)] * 2)
        inputs = dict(clip=clips, global_clip=clips, local_clips=[small] * 3)
        data = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        figures = [loss, *model.health.values()]
    assert len(figures) > 2
    assert {figure.device.type for figure in figures} == {'cuda'}
