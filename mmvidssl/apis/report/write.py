"""The report: one HTML file that needs nothing else."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import torch
from tqdm import tqdm

from mmvidssl.datasets.readers import VideoError
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.version import __version__
from mmvidssl.visualization import EVALUATIONS, group_curves
from mmvidssl.visualization.curves import Curve

from ..model import init_model
from .pictures import choose, pictures
from .run import Run, read_work_dir
from .verdict import judge

MAX_BYTES = 19_000_000
MAX_POINTS = 1500  # of a curve
MAX_CHECKPOINTS = 8
MAX_FRAMES = 12  # of all videos together
MAX_SIDE = 320  # pixels
QUALITIES = (85, 60, 35, 10)  # of JPEG, until the file is small enough
LEVELS = dict(good='healthy', unknown='not enough is known', look='take a look', bad='not healthy')
# Who would measure what is missing.
MEASURED_BY = {EVALUATIONS: 'KNNMonitorHook, LinearProbeHook or VOSMonitorHook'}


def write_report(
    out: str | os.PathLike,
    run: Run | str | os.PathLike,
    videos: Sequence[str | os.PathLike] = (),
    device: str | torch.device = 'cpu',
) -> Path:
    """Write what is known of a run, and pictures of videos, into one HTML file below 20 MB.

    Args:
        out: The file, ending in .html.
        run: A work directory, or what was read of one.
        videos: Drawn by up to ``MAX_CHECKPOINTS`` of the run's checkpoints.
        device: Where the models shall live.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If a file or folder does not exist.
        ValueError: If a file of the run is damaged, or there are too many videos.
    """
    out = Path(out)
    if out.suffix != '.html':
        raise ValueError(f'the report must end in .html, got {out}')
    if len(videos) > MAX_FRAMES // 3:
        raise ValueError(f'at most {MAX_FRAMES // 3} videos fit into a report, got {len(videos)}')
    for video in videos:
        if not Path(video).is_file():
            raise FileNotFoundError(f'no such video: {video}')
    run = run if isinstance(run, Run) else read_work_dir(run)
    findings = judge(run.curves, run.cfg)
    shows, notes = _draw(run, [Path(video) for video in videos], device)
    panels = {title: curves for title, curves in group_curves(run.curves).items() if curves}
    measured = {title: ', '.join(curves) for title, curves in panels.items()}
    content = dict(
        run=run,
        level=max((f.level for f in findings), key=list(LEVELS).index),
        levels=LEVELS,
        findings=findings,
        panels={
            title: [_thin(n, c) for n, c in curves.items()] for title, curves in panels.items()
        },
        measured=measured,
        unmeasured={
            title: MEASURED_BY.get(title, 'HealthHook, where the method has it')
            for title, curves in group_curves(run.curves).items()
            if not curves
        },
        notes=[*run.missing, *notes],
        config=run.cfg.pretty_text if run.cfg else '',
        version=__version__,
    )
    for quality in QUALITIES:
        html = _render(**content, **_encode(shows, quality))
        if len(html) < MAX_BYTES:
            break
    with atomic_path(out) as temporary:
        temporary.write_bytes(html)
    return out


def _draw(
    run: Run, videos: Sequence[Path], device: str | torch.device
) -> tuple[list[dict[str, Any]], list[str]]:
    """Pictures by video, title and checkpoint; and what could not be drawn."""
    if not videos:
        return [], ['No video was given (--video FILE), so that nothing is drawn.']
    if run.cfg is None or not run.checkpoints:
        return [], []
    chosen = choose(run.checkpoints, MAX_CHECKPOINTS)
    notes = []
    if len(chosen) < len(run.checkpoints):
        notes.append(f'Of {len(run.checkpoints)} checkpoints, {len(chosen)} are drawn.')
    shows: dict[Path, dict[str, Any]] = {}
    for path in tqdm(chosen, desc='drawing checkpoints'):
        try:
            model = init_model(run.cfg, path, device)
        except (ValueError, OSError) as error:
            notes.append(f'Not drawn: {error}')
            continue
        for video in videos:
            try:
                views = pictures(model, run.cfg, video, MAX_FRAMES // len(videos))
            except (ValueError, VideoError) as error:
                if f'Not drawn: {error}' not in notes:
                    notes.append(f'Not drawn: {error}')
                continue
            steps = choose(list(range(len(next(iter(views.values()))))), MAX_FRAMES // len(videos))
            show = shows.setdefault(video, dict(video=video.name, checkpoints=[], views={}))
            show['checkpoints'].append(path.stem)
            for title, frames in views.items():
                show['views'].setdefault(title, []).append([_shrink(frames[i]) for i in steps])
    return list(shows.values()), notes


def _shrink(frame: np.ndarray) -> np.ndarray:
    scale = MAX_SIDE / max(frame.shape[:2])
    if scale >= 1:
        return frame
    size = [round(n * scale) for n in frame.shape[1::-1]]
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _encode(shows: Sequence[Mapping[str, Any]], quality: int) -> dict[str, Any]:
    """Each different picture once, as a data URI, and its number in the place of the pictures."""
    pool: dict[bytes, int] = {}

    def number(frame: np.ndarray) -> int:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        _, jpeg = cv2.imencode('.jpg', np.ascontiguousarray(frame[..., ::-1]), options)
        return pool.setdefault(jpeg.tobytes(), len(pool))

    numbered = [
        dict(
            show,
            views={
                title: [[number(frame) for frame in frames] for frames in of_checkpoints]
                for title, of_checkpoints in show['views'].items()
            },
        )
        for show in shows
    ]
    uris = [f'data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}' for jpeg in pool]
    return dict(shows=numbered, uris=uris)


def _thin(name: str, curve: Curve) -> dict[str, Any]:
    """Every n-th point of a long curve, to six digits; what is not finite, left out."""
    step = -(-len(curve[0]) // MAX_POINTS)
    x, y = (np.asarray(values, float)[::step] for values in curve)
    return dict(
        name=name, x=x.tolist(), y=[float(f'{v:.6g}') if np.isfinite(v) else None for v in y]
    )


def _render(**content: Any) -> bytes:
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('mmvidssl.visualization'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template('report.html.j2')
    return template.render(plotly=get_plotlyjs(), **content).encode()
