"""Pictures for the report: what a run's checkpoints make of videos."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmvidssl.datasets.readers import ShortVideoError
from mmvidssl.utils.progress import progress
from mmvidssl.visualization import pca_colours
from mmvidssl.visualization.drawing import enlarge, spread

from ..features import FeatureExtractor
from ..model import init_model
from ..pictures import (
    check_draws_targets,
    draw_objects,
    draw_predictions,
    patch_features,
    read_footage,
)
from .run import Run

PCA = 'patch features (PCA)'
SHEETS = ('attention', 'assignment')  # of one picture; the others have one per frame


class Show(NamedTuple):
    """Pictures of one video by the checkpoints of a run."""

    video: str
    checkpoints: list[str]
    views: dict[str, list[np.ndarray]]
    """``(T, H, W, 3)`` uint8 RGB of each checkpoint, by title; of ``SHEETS`` ``T`` is 1."""


def draw_run(
    run: Run,
    videos: Sequence[Path],
    num_checkpoints: int,
    num_frames: int,
    device: str | torch.device,
) -> tuple[list[Show], list[str]]:
    """Draw the beginning of videos by a run's checkpoints; also notes on what cannot be drawn.

    Args:
        run: The run; nothing is drawn without its checkpoints and its config.
        videos: The files.
        num_checkpoints: The most that are drawn, evenly chosen, the first and the last among them.
        num_frames: Likewise for the frames that are drawn; whole clips of the model are read.
        device: Device of the models.
    """
    if run.cfg is None or not run.checkpoints:
        return [], []
    chosen = [run.checkpoints[i] for i in spread(len(run.checkpoints), num_checkpoints)]
    notes: dict[str, None] = {}  # a set in order
    if len(chosen) < len(run.checkpoints):
        notes[f'Of {len(run.checkpoints)} checkpoints, {len(chosen)} are drawn.'] = None
    shows = {video: Show(video.name, [], {}) for video in videos}
    features: dict[Path, list[np.ndarray]] = {video: [] for video in videos}
    for path in progress(chosen, f'drawing {run.name}'):
        try:
            model = init_model(run.cfg, path, device)
        except Exception as error:  # whatever classes raise for the options of a config
            notes[f'Not drawn: {error}'] = None
            continue
        for video, show in shows.items():
            try:
                frames = _read(model, video, num_frames, notes)
                found = patch_features(model, frames)
                views = _views(model, run.cfg, path, frames, notes)
            except (OSError, ValueError) as error:
                notes[f'Not drawn: {error}'] = None
                continue
            features[video].append(found)
            show.checkpoints.append(path.stem)
            views = views or {'frame': frames[:: len(frames) // len(found)]}
            for title, drawn in views.items():
                kept = drawn[spread(len(drawn), num_frames)]
                show.views.setdefault(title, []).append(kept)
    for video, show in shows.items():
        if show.checkpoints:
            for title in [x for x in show.views if len(show.views[x]) < len(show.checkpoints)]:
                del show.views[title]
                notes[f'Not every checkpoint has it, so that it is not drawn: {title}.'] = None
            sheets = {title: show.views.pop(title) for title in SHEETS if title in show.views}
            pairs = zip(pca_colours(features[video]), show.views['frame'], strict=True)
            show.views[PCA] = [
                np.stack([enlarge(m[i * len(m) // len(x)], x.shape[1:3]) for i in range(len(x))])
                for m, x in pairs
            ]
            show.views.update(sheets)
    return [show for show in shows.values() if show.checkpoints], list(notes)


def _read(model: nn.Module, video: Path, num_frames: int, notes: dict[str, None]) -> np.ndarray:
    """Read whole clips of about ``num_frames``; of a short video, consecutive ones that fit."""
    length = FeatureExtractor(model).clip_len or 1
    whole = max(1, num_frames // length) * length
    with suppress(ShortVideoError):
        return read_footage(model, video, whole).frames
    for count in range(whole, 0, -length):
        with suppress(ShortVideoError):
            frames = read_footage(model, video, count, frame_interval=1).frames
            notes[f'{video.name} is short: {count} frames that follow each other are drawn.'] = None
            return frames
    return read_footage(model, video, length, frame_interval=1).frames  # for its error


def _views(
    model: nn.Module, cfg: Config, checkpoint: Path, frames: np.ndarray, notes: dict[str, None]
) -> dict[str, np.ndarray]:
    if hasattr(model, 'track'):
        found = draw_objects(model, frames)
        sheets = (found.attention[None], found.assignment[None])
        return {**found.tracks, **found.views, **dict(zip(SHEETS, sheets, strict=True))}
    try:
        check_draws_targets(model, checkpoint)
        return draw_predictions(model, frames, cfg)
    except ValueError as error:
        notes[f'Drawn are the features alone: {error}'] = None
        return {}
