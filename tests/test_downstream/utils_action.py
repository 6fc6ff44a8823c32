"""What the tests of action recognition and ImageNet share: small data, small clips, full models."""

import copy
import pickle
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

from mmvidssl.engine.checkpoint import Coverage, find_coverage
from mmvidssl.registry import MODELS
from tests.test_downstream import utils
from tests.test_downstream.utils_dense import (
    CONFIGS,
    check_amp_can_be_off,
    metrics_of,
    read_config,
)
from tests.test_downstream.utils_pretraining import Pretrained
from tests.utils_video import draw_frame, write_video

SIZES = {224: 64, 256: 72, 312: 64, 320: 80, 356: 72, 390: 72}
SIZE_KEYS = ('scale', 'crop_size', 'size', 'scale_range')


def linear(rel_pos: Tensor, shape: torch.Size) -> Tensor:
    """Relative positions ``(L, d)`` of another length."""
    kwargs = dict(size=shape[0], mode='linear', align_corners=False)
    return torch.nn.functional.interpolate(rel_pos.T[None], **kwargs)[0].T


# How MaskFeat's weights arrive in a model with another downscaling.
AS_MVIT: dict = dict(
    renamed={'norm2.': 'norm3.'},
    interpolated=dict.fromkeys(('rel_pos_t', 'rel_pos_h', 'rel_pos_w'), linear),
)
# The same where the last norm is new.
WITH_FRESH_NORM = dict(AS_MVIT, renamed={}, new=['norm3.'], left_over=['mask_token', 'norm2.'])


def write_videos(videos: Path, ann_file: Path, number: int) -> None:
    """Videos of two classes in a folder, and mmaction2's list of them."""
    videos.mkdir(parents=True, exist_ok=True)
    names = [f'{ann_file.stem}_{index}.mp4' for index in range(number)]
    for index, name in enumerate(names):
        write_video(videos / name, num_frames=20 + index, size=(64, 96))
    ann_file.write_text('\n'.join(f'{name} {index % 2}' for index, name in enumerate(names)))


def check_common(cfg: Config, allow_new: Sequence[str] | None = ()) -> None:
    """What all configs state for themselves; ``allow_new`` is None for one from scratch."""
    assert 'mmvidssl' in cfg.custom_imports.imports
    assert cfg.default_hooks.checkpoint.type == 'mmvidssl.PlainCheckpointHook'
    hooks = {hook.type.removeprefix('mmvidssl.'): hook for hook in cfg.custom_hooks}
    report = hooks.pop('PretrainedReportHook', None)
    assert (report is None) is (allow_new is None)
    assert report is None or list(report.get('allow_new', ())) == list(allow_new)
    reads_videos = 'VideoListDataset' in cfg.train_dataloader.dataset.type
    assert [*hooks] == [
        'DataCheckHook',
        *(['DataFailureHook'] if reads_videos else []),
        'NaNGuardHook',
    ]
    check_amp_can_be_off(cfg)
    assert not any({'end', 'T_max'} & scheduler.keys() for scheduler in cfg.param_scheduler)


def check_name(path: Path) -> None:
    """GPUs, batch, precision and epochs of the file's name are those in it."""
    cfg = read_config(path)
    gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', path.stem).groups())
    assert cfg.train_dataloader.batch_size == batch
    # a config whose rate follows the batch by itself may have another
    assert cfg.auto_scale_lr.enable or gpus * batch == cfg.auto_scale_lr.base_batch_size
    assert ('-amp-' in path.stem) == (cfg.optim_wrapper.type == 'AmpOptimWrapper')
    assert f'-{cfg.train_cfg.max_epochs}e_' in path.stem


def shrink_clips(node) -> None:
    """Make pipelines those of clips of 4 frames of 64 x 64 pixels, as they stand otherwise."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key in SIZE_KEYS:
            node[key] = _small(value)
        elif key == 'clip_len' and value > 4:
            node[key] = 4
        elif key == 'frame_interval' and value > 2 or key == 'num_clips' and value > 2:
            node[key] = 2
        elif isinstance(value, (dict, list, tuple)):
            shrink_clips(value)


def _small(value):
    if isinstance(value, (list, tuple)):
        return type(value)(map(_small, value))
    return SIZES.get(value, value)


def narrow_mvit(cfg: Config, checkpoint: Path | str) -> None:
    """A backbone for such clips; its head and extractor stay the caller's."""
    backbone = cfg.model.backbone
    backbone.update(arch=utils.FINETUNING_ARCH, spatial_size=64, temporal_size=4)
    backbone.init_cfg.checkpoint = str(checkpoint)


def build_full(cfg: Config) -> nn.Module:
    """The model of a config at full size, on no memory, where a blending's distributions fail."""
    model = copy.deepcopy(cfg.model)
    model.get('data_preprocessor', {}).pop('blending', None)
    return utils.build_on_meta(Config(dict(model=model, default_scope=cfg.default_scope)))


def coverage_at_full_size(cfg: Config, pretraining: Path) -> Coverage:
    """What the backbone of a config takes from that of a pretraining config, both on no memory."""
    model = build_full(cfg)
    backbone = getattr(model, 'module', model).backbone
    source = Config.fromfile(pretraining).model
    source.data_preprocessor = None
    init_default_scope('mmvidssl')
    with torch.device('meta'):
        weights = MODELS.build(source).backbone.state_dict()
    return find_coverage(backbone, weights)


def pretraining_config(cfg: Config) -> Path:
    """The config that the default checkpoint of a downstream config comes from."""
    name = Path(cfg.pretrained).parent.name
    (path,) = CONFIGS.parent.glob(f'*/{name}.py')
    return path


def shrink_recognizer(cfg: Config, checkpoint: Path | str, work_dir: Path) -> Config:
    """A recognizer for such clips, which begins with a checkpoint, in place."""
    for part in ('train', 'val', 'test'):
        shrink_clips(cfg[f'{part}_dataloader'].dataset.pipeline)
    if 'MViT' in cfg.model.backbone.type:
        narrow_mvit(cfg, checkpoint)
        cfg.model.cls_head.in_channels = utils.MVIT_WIDTH
    else:
        cfg.model.backbone.update(arch=utils.NARROW_VIT, img_size=64)
        cfg.model.backbone.init_cfg.checkpoint = str(checkpoint)
        cfg.model.cls_head.in_channels = utils.NARROW_VIT['embed_dims']
    return utils.shrink_runner(cfg, work_dir)


def check_run(
    path: Path, pretrained: Pretrained, work_dir: Path, published: bool = False
) -> Runner:
    """Train a recognizer from what a pretraining run saved, or from its published backbone."""
    cfg = Config.fromfile(path)
    is_mvit = path.stem.startswith('mvit')
    name = ('maskfeat' if is_mvit else 'dora') + ('_published' if published else '')
    if published:
        cfg.model.backbone.init_cfg.prefix = utils.STUDENT
    checkpoint = getattr(pretrained, name)
    runner, start = utils.train(shrink_recognizer(cfg, checkpoint, work_dir))
    check_trained(runner, start, checkpoint, is_mvit, published)
    return runner


def check_trained(
    runner: Runner,
    start: dict[str, Tensor],
    checkpoint: Path,
    is_mvit: bool,
    published: bool = False,
) -> None:
    """Trained for two iterations and evaluated by mmaction2; all began with the file's backbone."""
    assert runner.iter == 2
    for metrics in (metrics_of(runner, 'acc/top1', 'acc/top5', 'acc/mean1'), runner.test()):
        assert {'acc/top1', 'acc/top5'} <= metrics.keys()
        assert all(0 <= value <= 1 for value in metrics.values())
    if is_mvit:
        fresh = runner.cfg.model.backbone.get('fresh_norm')
        utils.assert_backbone_loaded(start, checkpoint, **(WITH_FRESH_NORM if fresh else AS_MVIT))
    else:
        prefix = utils.STUDENT if published else utils.TEACHER
        utils.assert_backbone_loaded(start, checkpoint, prefix)
    check_moved(runner, start)


def check_moved(runner: Runner, start: dict[str, Tensor]) -> None:
    """Nearly all has learned something."""
    trained = runner.model.state_dict()
    changed = [key for key, value in start.items() if not torch.equal(value, trained[key])]
    assert len(changed) > 0.9 * len(start)


def write_ava(root: Path) -> None:
    """AVA 2.2 as mmaction2 reads it: frames, annotations, classes and proposals."""
    annotations = root / 'annotations'
    annotations.mkdir(parents=True)
    # of the last there is no box
    classes = [
        f'  name: "{name}"\n  id: {id_}\n'
        for name, id_ in (('stand', 12), ('walk', 14), ('sit', 11))
    ]
    text = ''.join(f'item {{\n{item}}}\n' for item in classes)
    (annotations / 'ava_action_list_v2.2_for_activitynet_2019.pbtxt').write_text(text)
    for part, videos in dict(train=['one', 'two'], val=['three']).items():
        rows, proposals = [], {}
        for video in videos:
            _write_frames(root / 'rawframes' / video, 110)
            for second in (902, 903):
                box = '0.100,0.200,0.500,0.900'
                rows += [f'{video},{second},{box},12,1', f'{video},{second},{box},14,1']
                boxes = [[0.1, 0.2, 0.5, 0.9, 0.99], [0.6, 0.1, 0.9, 0.8, 0.95]]
                proposals[f'{video},{second:04}'] = np.array(boxes)
        (annotations / f'ava_{part}_v2.2.csv').write_text('\n'.join(rows) + '\n')
        excluded = annotations / f'ava_{part}_excluded_timestamps_v2.2.csv'
        excluded.write_text('other,0902\n')
        name = f'ava_dense_proposals_{part}.FAIR.recall_93.9.pkl'
        (annotations / name).write_bytes(pickle.dumps(proposals))


def _write_frames(folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    for index in range(1, number + 1):
        cv2.imwrite(str(folder / f'img_{index:05}.jpg'), draw_frame(index, (64, 96)))


def write_imagenet(root: Path) -> None:
    """ImageNet-1k as mmpretrain reads it: four and two images of two of its classes."""
    (root / 'meta').mkdir(parents=True)
    for part, number in dict(train=4, val=2).items():
        lines = []
        for index in range(number):
            name = f'{("n01440764", "n01443537")[index % 2]}/{part}_{index}.JPEG'
            (root / part / name).parent.mkdir(parents=True, exist_ok=True)
            image = cv2.imencode('.jpg', draw_frame(index, (80, 96)))[1]
            (root / part / name).write_bytes(image.tobytes())
            lines.append(f'{name} {index % 2}')
        (root / 'meta' / f'{part}.txt').write_text('\n'.join(lines))
