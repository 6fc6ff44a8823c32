"""The released loaders that loaders.py times beside ours, from a checkout of their authors' code.

Each function returns the loader: it is called with a number, and gives a sample.
"""

import importlib
import io
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import torch
import torchvision


def _from_checkout(checkout: Path, names: list[str]) -> list[ModuleType]:
    """Modules of a checkout; a missing one, or one that it needs, is named."""
    if not (checkout / f'{names[0].replace(".", "/")}.py').is_file():
        raise SystemExit(f'--peer {checkout}: no {names[0]} there; give the root of the checkout')
    sys.path.insert(0, str(checkout))
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise SystemExit(f'the code in {checkout} needs what is not installed: {error}') from error


def dora(checkout: Path, video: str, step: int) -> Callable[[int], Any]:
    """DoRA's ``WTDataloader.py`` and ``main.py``: 8 frames, ``step`` apart, 1 + 6 views."""
    main, loader = _from_checkout(checkout, ['main', 'WTDataloader'])
    augment = main.DataAugmentationDINO((0.4, 1.0), (0.05, 0.4), 6)
    dataset = loader.WT_dataset_1vid(video, 8, step, augment)
    return lambda number: dataset[random.Random(number).randrange(len(dataset))]


def maskfeat(checkout: Path, folder: str) -> Callable[[int], Any]:
    """PySlowFast's ``Kinetics`` as in its recipe of MaskFeat; ``folder`` has a ``train.csv``.

    torchvision's decoder of videos in memory, which the recipe asks for, was removed from
    torchvision: PyAV stands in for it, which reads as few frames. Its other backend, PyAV, fails in
    the released code (it multiplies a list). detectron2 is imported there, but no loader needs it.
    """
    try:
        import detectron2.layers  # noqa: F401
    except ImportError:
        sys.modules['detectron2'] = ModuleType('detectron2')
        layers = sys.modules['detectron2.layers'] = ModuleType('detectron2.layers')
        layers.ROIAlign = torchvision.ops.RoIAlign  # type: ignore[attr-defined]
    if not hasattr(torchvision.io, '_read_video_from_memory'):
        torchvision.io._probe_video_from_memory = _probe
        torchvision.io._read_video_from_memory = _read
    defaults, kinetics = _from_checkout(
        checkout, ['slowfast.config.defaults', 'slowfast.datasets.kinetics']
    )
    cfg = defaults.get_cfg()
    cfg.merge_from_file(str(checkout / 'configs/masked_ssl/k400_MVITv2_S_16x4_MaskFeat_PT.yaml'))
    cfg.DATA.PATH_TO_DATA_DIR = folder
    return kinetics.Kinetics(cfg, 'train').__getitem__


def _probe(video: torch.Tensor) -> SimpleNamespace:
    """What torchvision told of a video: times, and that there is no sound."""
    with av.open(io.BytesIO(video.numpy())) as container:
        stream = container.streams.video[0]
        return SimpleNamespace(
            video_timebase=stream.time_base,
            has_video=True,
            video_duration=float(stream.duration * stream.time_base),
            video_fps=float(stream.average_rate),
            audio_timebase=stream.time_base,
            has_audio=False,
            audio_duration=0.0,
            audio_sample_rate=0.0,
        )


def _read(
    video: torch.Tensor,
    seek_frame_margin: float,
    video_min_dimension: int,
    video_pts_range: tuple[int, int],
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """Frames with times in a range (an end of -1: all), shrunk to a shorter side; (T, H, W, 3)."""
    first, last = video_pts_range
    frames = []
    with av.open(io.BytesIO(video.numpy())) as container:
        stream = container.streams.video[0]
        stream.thread_type = 'NONE'
        if first > 0:
            container.seek(max(0, first - int(seek_frame_margin / stream.time_base)), stream=stream)
        scale = video_min_dimension / min(stream.height, stream.width) or 1
        size = dict(width=int(stream.width * scale), height=int(stream.height * scale))
        for frame in container.decode(stream):
            if last >= 0 and frame.pts > last:
                break
            if frame.pts >= first:
                frames.append(
                    frame.to_ndarray(format='rgb24', interpolation='FAST_BILINEAR', **size)
                )
    return torch.from_numpy(np.stack(frames)), None
