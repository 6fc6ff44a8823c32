"""DoRA's part of the quickstart: pictures, figures, and the text about them."""

import math
import os
import textwrap
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmvidssl.apis import track_objects
from mmvidssl.apis.pictures import MIN_GRID, resize_to_patches
from mmvidssl.models.utils import mask_overlap
from mmvidssl.visualization import (
    mask_grid,
    overlay_masks,
    plot_curves,
    read_run,
    write_image,
    write_video,
)
from mmvidssl.visualization.curves import KL

from .footage import open_footage
from .object_jaccard import ObjectJaccard
from .place_knn import PlaceKNN

VIDEO_FPS = 8.0
NUM_CLIPS = 10  # for tracking, each within a tenth of the video
MAX_TRACKED_FRAMES = 10  # of each clip; longer ones meet cuts, which end all tracks
CLIPS_IN_PICTURE = 3
ENLARGEMENT = 2
CHANCE_POINTS = 5  # three standard errors of a difference of two shares of 1800 crops


class DoRADemo:
    """DoRA before and after training: k-NN accuracy of places, loss, tracked objects.

    Args:
        cfg: Config of the run.
        footage: The video it is trained on.
        jaccard: Compares tracked objects with the true ones of DAVIS, if there are any.
    """

    def __init__(self, cfg: Config, footage: Path, jaccard: ObjectJaccard | None = None) -> None:
        self.footage = footage
        self.log_k = math.log(cfg.model.neck.num_prototypes)
        size = cfg.model.backbone.img_size  # of the global view, at which the backbone is trained
        size = size if isinstance(size, int) else size[0]
        self.knn = PlaceKNN(footage, size)
        self.jaccard = jaccard

    def before(self, model: nn.Module) -> None:
        """Measure the untrained model, in evaluation mode."""
        self.accuracy = self.knn.accuracy_of(model)
        self.first_jaccard = self.jaccard(model) if self.jaccard else None

    def after(self, model: nn.Module, work_dir: Path) -> dict[str, Any]:
        """Measure the trained model, draw into ``work_dir``, return figures for the summary."""
        return dict(
            **draw_loss(work_dir, self.log_k),
            overlap=draw_objects(model, self.footage, work_dir),
            knn=self.knn.compare(self.accuracy, self.knn.accuracy_of(model)),
            first_jaccard=self.first_jaccard,
            last_jaccard=self.jaccard(model) if self.jaccard else None,
        )

    def describe(self, summary: dict[str, Any]) -> str:
        """Text about the summary, printed at the end."""
        s, knn = summary, summary['knn']
        change = 100 * (knn['after'] - knn['before'])
        verdict = (
            'ABOUT AS GOOD' if abs(change) < CHANCE_POINTS else 'BETTER' if change > 0 else 'WORSE'
        )
        if change > 0 and knn['after'] < knn['pixels']:
            verdict += ', BUT NOT THAN PIXELS'
        notes = dict(
            loss='a cross-entropy, KL + entropy: it may rise',
            kl='KL(teacher, student); healthy: falls towards 0 ...',
            teacher_entropy=f'... and this stays clear of ln K = {s["log_k"]:.2f}',
        )
        rows = '\n'.join(
            f'{name:20} {s[f"first_{name}"]:6.3f} {s[f"last_{name}"]:6.3f}   {note}'
            for name, note in notes.items()
            if f'first_{name}' in s
        )
        jaccard = ''
        if s['last_jaccard'] is not None:
            jaccard = (
                'The best object fits the true one of DAVIS (mean Jaccard index over the clips) by '
                f'{s["first_jaccard"]:.1%} before, {s["last_jaccard"]:.1%} after training.\n'
            )
        return f"""
Done in {s['seconds']:.0f} s: {s['iterations']} iterations on {s['footage_seconds']:.1f} s of video.

                      first   last
{rows}
Objects overlap by {s['overlap']:.0%} on average (intersection over union; 100 %: they are one).
{jaccard}
k-NN accuracy of the features, after training {verdict} ({change:+.1f} points):
  before training (random weights) {knn['before']:6.1%}
  after training                   {knn['after']:6.1%}
  8x8 pixels, nothing learned      {knn['pixels']:6.1%}
  chance                           {knn['chance']:6.1%}
{textwrap.fill(f'Measured: {knn["measured"]}. Features: class tokens of the teacher.', 96)}
Training saw these places too, without labels. One short run on one video is no proof.

In {s['work_dir']}:
  loss_curve.png         loss, KL, entropy
  object_masks.png       three tracked clips, first and last frames: each object, all together
  object_masks.mp4       ten of them as a video"""


def draw_loss(work_dir: Path, log_k: float) -> dict[str, float]:
    """Draw ``loss_curve.png`` from the run's scalars; return first and last values for the summary.

    The loss of self-distillation is a cross-entropy, whose minimum, the teacher's entropy, moves.
    So their difference, the KL divergence, is drawn where :func:`read_run` has it, and ``log_k``,
    the entropy of a teacher whose output is uniform.
    """
    run = read_run(work_dir)
    names = dict(loss='loss', kl=KL, teacher_entropy='teacher_entropy')
    curves = {key: run[name] for key, name in names.items() if name in run}
    shown = {**{names[key]: curve for key, curve in curves.items()}, 'ln K': run['ln K']}
    plot_curves(work_dir / 'loss_curve.png', shown, 'DoRA, quickstart', ylabel='nats')
    values = {
        f'{end}_{key}': y[i]
        for key, (_, y) in curves.items()
        for end, i in (('first', 0), ('last', -1))
    }
    return {**values, 'log_k': log_k}


def draw_objects(model: nn.Module, video: str | os.PathLike, work_dir: Path) -> float:
    """Draw objects tracked through clips of ``video``: ``object_masks.png`` and ``.mp4``.

    Objects are found anew in the first frame of each clip. The picture has the first and the last
    frames of some clips.

    Returns:
        The mean intersection over union of two objects in a frame, over all frames.
    """
    clips = _clips_for_tracking(video, model.teacher.backbone.patch_size)
    masks = np.stack([track_objects(model, clip).masks for clip in clips])  # (C, O, T, h, w)
    height, width = (side * ENLARGEMENT for side in clips.shape[2:4])
    frames = [
        cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in np.concatenate(clips)
    ]
    tracked = overlay_masks(np.stack(frames), np.concatenate(list(masks), axis=1))
    write_video(work_dir / 'object_masks.mp4', tracked, VIDEO_FPS)
    shown, ends = np.linspace(0, len(clips) - 1, CLIPS_IN_PICTURE).round().astype(int), [0, -1]
    picture = mask_grid(
        np.concatenate(clips[shown][:, ends]),
        np.concatenate(list(masks[shown][:, :, ends]), axis=1),
    )
    write_image(work_dir / 'object_masks.png', picture)
    return mask_overlap(torch.from_numpy(masks).transpose(0, 1)).item()


def _clips_for_tracking(video: str | os.PathLike, patch_size: tuple[int, int]) -> np.ndarray:
    """``(NUM_CLIPS, T, H, W, 3)`` frames about ``1 / VIDEO_FPS`` s apart, resized to whole patches.

    Small frames are enlarged to ``MIN_GRID`` patches, for masks in which a shape can be seen.
    """
    reader = open_footage(video)
    starts = np.arange(NUM_CLIPS) * reader.num_frames // NUM_CLIPS
    step = max(1, round(reader.fps / VIDEO_FPS))
    length = min(MAX_TRACKED_FRAMES, max(1, reader.num_frames // NUM_CLIPS // step))
    indices = starts[:, None] + step * np.arange(length)
    frames = reader.get_frames(indices.ravel())
    side = max(min(frames.shape[1:3]), MIN_GRID * max(patch_size))
    clips = resize_to_patches(frames, patch_size, side)
    return clips.reshape(*indices.shape, *clips.shape[1:])
