"""The report of the quickstart: pictures, numbers, and words about them."""

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from mmvidssl.apis import track_objects
from mmvidssl.datasets.transforms import ClipResize
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.visualization import (
    mask_grid,
    overlay_masks,
    plot_curves,
    read_scalars,
    write_image,
    write_video,
)

from .footage import open_footage

VIDEO_FPS = 8.0
MAX_TRACKED_FRAMES = 24
GRID_COLUMNS = 6
ENLARGEMENT = 2
MIN_GRID = 14  # patches along the short side, as in training at 224 pixels with patches of 16


def draw_loss(work_dir: Path) -> tuple[float, float]:
    """Draw ``loss_curve.png`` from the run's scalars; return the first and the last loss."""
    scalars = read_scalars(next(iter(work_dir.glob('*/vis_data/scalars.json'))))
    losses = {k: v for k, v in scalars.items() if k.startswith('loss')}
    plot_curves(work_dir / 'loss_curve.png', losses, title='DoRA, quickstart')
    return losses['loss'][1][0], losses['loss'][1][-1]


def draw_objects(model: nn.Module, video: str | os.PathLike, work_dir: Path) -> None:
    """Track objects through the start of ``video``: ``object_masks.png`` and ``.mp4``."""
    clip = _clip_for_tracking(video, model.teacher.backbone.patch_size)
    masks = track_objects(model, clip).masks
    shape = (clip.shape[2] * ENLARGEMENT, clip.shape[1] * ENLARGEMENT)
    frames = np.stack([cv2.resize(f, shape, interpolation=cv2.INTER_CUBIC) for f in clip])
    write_video(work_dir / 'object_masks.mp4', overlay_masks(frames, masks), VIDEO_FPS)
    columns = np.linspace(0, len(clip) - 1, min(GRID_COLUMNS, len(clip))).round().astype(int)
    write_image(work_dir / 'object_masks.png', mask_grid(clip[columns], masks[:, columns]))


def _clip_for_tracking(video: str | os.PathLike, patch_size: tuple[int, int]) -> np.ndarray:
    """``(T, H, W, 3)`` frames about ``1 / VIDEO_FPS`` s apart, resized to whole patches.

    Small frames are enlarged to ``MIN_GRID`` patches, for masks in which a shape can be seen.
    """
    reader = open_footage(video)
    step = max(1, round(reader.fps / VIDEO_FPS))
    clip = reader.get_frames(np.arange(0, reader.num_frames, step)[:MAX_TRACKED_FRAMES])
    grid = [side / patch for side, patch in zip(clip.shape[1:3], patch_size, strict=True)]
    scale = max(1.0, MIN_GRID / min(grid))
    size = [round(cells * scale) * patch for cells, patch in zip(grid, patch_size, strict=True)]
    return ClipResize(size=size)(dict(clip=clip))['clip']


def write_summary(work_dir: Path, summary: dict[str, Any]) -> None:
    """Write ``summary.json``."""
    with atomic_path(work_dir / 'summary.json') as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + '\n')


def describe(summary: dict[str, Any]) -> str:
    """The last words on the screen."""
    s, knn = summary, summary['knn']
    change = 100 * (knn['after'] - knn['before'])
    verdict = 'BETTER' if change > 0 else 'WORSE' if change < 0 else 'as good'
    return f"""
Done in {s['seconds']:.0f} s: {s['iterations']} iterations on {s['footage_seconds']:.1f} s of video.
Loss {s['first_loss']:.3f} at first, {s['last_loss']:.3f} at last.

k-NN accuracy of the features, after training {verdict} ({change:+.1f} points):
  before training (random weights) {knn['before']:6.1%}
  after training                   {knn['after']:6.1%}
  8x8 pixels, nothing learned      {knn['pixels']:6.1%}
  chance                           {knn['chance']:6.1%}
{textwrap.fill(f'Measured: {knn["measured"]}. Features: class tokens of the teacher.', 96)}
Training saw these moments too, without labels. One short run on one video is no proof.

In {s['work_dir']}:
  loss_curve.png         the loss
  object_masks.png       objects tracked through a clip: frames, each object, all together
  object_masks.mp4       the same as a video
  {s['backbone']}  the backbone, published; use it with
                         init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')
  summary.json           all numbers
  config.py              what was run

Next: bash tools/quickstart.sh --video MY_VIDEO.mp4 --minutes 30"""
