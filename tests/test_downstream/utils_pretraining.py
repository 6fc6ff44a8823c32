"""Short pretraining runs of both methods, whose checkpoints fine-tuning begins with.

Configs of ``configs/dora`` and ``configs/maskfeat``, narrowed, on small videos and images: three
iterations of MMEngine's runner, as ``tools/train.py`` starts it.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import torch
from mmengine.config import Config

from mmvidssl.apis import publish_model
from mmvidssl.apis.quickstart import set_max_iters
from mmvidssl.engine.optimizers import fit_to_device
from tests.test_downstream import utils
from tests.utils_video import draw_frame, write_video

CONFIGS = Path(__file__).parents[2] / 'configs'
DORA = CONFIGS / 'dora/dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py'
MASKFEAT = CONFIGS / 'maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py'
MASKFEAT_VIT = CONFIGS / 'maskfeat/maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py'
NUM_ITERS = 3


class Pretrained(NamedTuple):
    """Of each run the checkpoint that the runner wrote, and the backbone that was published."""

    dora: Path
    maskfeat: Path
    maskfeat_vit: Path
    dora_published: Path
    maskfeat_published: Path

    @classmethod
    def in_folder(cls, folder: Path) -> 'Pretrained':
        """Where :func:`pretrain` left them."""
        raw = (folder / name / 'iter_3.pth' for name in ('dora', 'maskfeat', 'maskfeat_vit'))
        published = (next(folder.glob(f'{name}-*.pth')) for name in ('dora', 'maskfeat'))
        return cls(*raw, *published)


def pretrain(folder: Path) -> None:
    """Run all three, and publish."""
    videos = folder / 'videos'
    videos.mkdir()
    for index in range(3):
        write_video(videos / f'{index}.mp4', num_frames=20 + index, size=(96, 128))
    (videos / 'videos.txt').write_text('0.mp4\n1.mp4\n2.mp4\n')
    images = folder / 'imagenet/train'
    images.mkdir(parents=True)
    for index in range(2 * NUM_ITERS):
        cv2.imwrite(str(images / f'{index}.JPEG'), draw_frame(index, (104, 128)))
    _run(_dora(videos), folder / 'dora')
    _run(_maskfeat(videos), folder / 'maskfeat')
    _run(_maskfeat_vit(folder / 'imagenet'), folder / 'maskfeat_vit')
    for name in ('dora', 'maskfeat'):
        publish_model(folder / name / 'iter_3.pth', folder / f'{name}.pth')


def _dora(videos: Path) -> Config:
    cfg = Config.fromfile(DORA)
    cfg.model.backbone.update(arch=utils.NARROW_VIT, img_size=64, patch_size=16)
    cfg.model.tracker.num_objects = 2
    cfg.model.neck.update(
        in_channels=utils.NARROW_VIT['embed_dims'],
        num_prototypes=16,
        hidden_channels=32,
        bottleneck_channels=8,
    )
    cfg.model.target_generator.num_prototypes = 16
    crops = cfg.train_dataloader.dataset.pipeline[2]
    crops.global_transforms[0].size, crops.local_transforms[0].size = 64, 32
    cfg.train_dataloader.dataset.data_root = str(videos)
    return cfg


def _maskfeat(videos: Path) -> Config:
    """For longer and larger clips than those of fine-tuning: 4 x 6 x 6 tokens."""
    cfg = Config.fromfile(MASKFEAT)
    cfg.model.backbone.update(
        arch=utils.PRETRAINING_ARCH,
        spatial_size=96,
        temporal_size=8,
        adaptive_kv_stride=(1, 8, 8),
    )
    cfg.model.neck.in_channels = utils.MVIT_WIDTH
    cfg.model.target_generator.update(cell_size=8, patch_size=16)
    cfg.train_dataloader.dataset.clip_len = 8
    _, crop, _, mask, _ = cfg.train_dataloader.dataset.pipeline
    crop.size = 96
    mask.update(mask_window=(4, 3, 3), min_num_patches=1, max_num_patches=9)
    cfg.train_dataloader.dataset.data_root = str(videos)
    return cfg


def _maskfeat_vit(imagenet: Path) -> Config:
    """For larger images than those of fine-tuning."""
    cfg = Config.fromfile(MASKFEAT_VIT)
    cfg.model.backbone.update(arch=utils.NARROW_VIT, img_size=96)
    cfg.model.neck.in_channels = utils.NARROW_VIT['embed_dims']
    _, crop, _, mask, _ = cfg.train_dataloader.dataset.pipeline
    crop.size = 96
    mask.update(mask_window=(6, 6), min_num_patches=3, max_num_patches=14)
    cfg.train_dataloader.dataset.data_root = str(imagenet)
    # As the other two: a schedule in iterations, and nothing that follows the batch.
    other = Config.fromfile(MASKFEAT)
    for key in ('train_cfg', 'param_scheduler', 'auto_scale_lr', 'log_processor'):
        cfg[key] = other[key]
    cfg.default_hooks.checkpoint.by_epoch = False
    return cfg


def _run(cfg: Config, work_dir: Path) -> None:
    """Train; every weight of the student learns, so that no other can pass for it."""
    set_max_iters(cfg, NUM_ITERS)
    cfg.param_scheduler[0].start_ratio = 0.5  # there is no time to warm up
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'pretraining-{work_dir.name}'
    cfg.env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.pop('prefetch_factor', None)
    fit_to_device(cfg.optim_wrapper, 'cpu')
    runner, start = utils.train(cfg)
    assert runner.iter == NUM_ITERS
    state = torch.load(work_dir / 'iter_3.pth', weights_only=True)['state_dict']
    still = {key for key, value in start.items() if torch.equal(value, state[key])}
    assert not {key for key in still if key.startswith((utils.STUDENT, utils.TEACHER))}
