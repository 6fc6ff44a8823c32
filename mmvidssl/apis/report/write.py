"""Writing the report: one self-contained HTML file."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import torch

from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.version import __version__
from mmvidssl.visualization import EVALUATIONS, Curve, group_curves

from .pictures import SHEETS, Show, draw_run
from .run import MAX_RUNS, Run
from .verdict import judge

MAX_BYTES = 19_000_000
MAX_POINTS = 1500  # of a curve
MAX_CHECKPOINTS, MAX_FRAMES, MAX_VIDEOS = 8, 12, 4  # of all runs or videos together
MAX_SIDE, MAX_SHEET = 320, 1280  # pixels, of a frame and of a sheet
QUALITIES = (85, 60, 35, 10)  # of JPEG, until the file is small enough
LEVELS = dict(good='healthy', unknown='not enough is known', look='take a look', bad='not healthy')
# The hook that measures a group of curves, where it is not HealthHook.
MEASURED_BY = {
    **dict.fromkeys(('Loss', 'Learning rate'), "MMEngine's RuntimeInfoHook"),
    'Seconds per iteration': "MMEngine's IterTimerHook",
    EVALUATIONS: 'KNNMonitorHook, LinearProbeHook or VOSMonitorHook',
    'Momentum of the teacher': 'TeacherMomentumHook, where there is a teacher',
}


def write_report(
    out: str | os.PathLike,
    runs: Sequence[Run],
    videos: Sequence[str | os.PathLike] = (),
    device: str | torch.device = 'cpu',
) -> Path:
    """Write a report on runs, with pictures of videos, as one HTML file below 20 MB.

    Args:
        out: The file, ending in .html.
        runs: From :func:`read_runs` or :func:`read_checkpoint`.
        videos: Videos that some of the runs' checkpoints draw.
        device: Device of the models.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If a video does not exist.
        ValueError: If ``out`` ends in something else, or there are too many runs or videos.
    """
    out = Path(out)
    if out.suffix != '.html':
        raise ValueError(f'the report must end in .html, got {out}')
    if len(runs) > MAX_RUNS or len(videos) > MAX_VIDEOS:
        raise ValueError(
            f'a report is of at most {MAX_RUNS} runs and {MAX_VIDEOS} videos, got {len(runs)} and '
            f'{len(videos)}'
        )
    for video in videos:
        if not Path(video).is_file():
            raise FileNotFoundError(f'no such video: {video}')
    paths = [Path(video) for video in videos]
    numbers = MAX_CHECKPOINTS // len(runs), MAX_FRAMES // max(len(videos), 1)
    drawn = [draw_run(run, paths, *numbers, device) for run in runs]
    parts = [_describe(run, notes) for run, (_, notes) in zip(runs, drawn, strict=True)]
    unseen = '' if videos else 'No video was given (--video FILE), so that nothing is drawn.'
    for quality in QUALITIES:
        uris: dict[bytes, int] = {}
        shows = [[_number(show, uris, quality) for show in shows] for shows, _ in drawn]
        html = render_page(
            'report.html.j2',
            parts=[dict(part, shows=of_run) for part, of_run in zip(parts, shows, strict=True)],
            title=', '.join(run.name for run in runs),
            uris=[f'data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}' for jpeg in uris],
            levels=LEVELS,
            sheets=SHEETS,
            unseen=unseen,
            version=__version__,
        )
        if len(html) < MAX_BYTES:
            break
    with atomic_path(out) as temporary:
        temporary.write_bytes(html)
    return out


def _describe(run: Run, notes: Sequence[str]) -> dict[str, Any]:
    findings, groups = judge(run), group_curves(run.curves)
    return dict(
        run=run,
        findings=findings,
        level=max((f.level for f in findings), key=list(LEVELS).index),
        panels={
            title: [_thin(name, curve) for name, curve in curves.items()]
            for title, curves in groups.items()
            if curves
        },
        unmeasured={
            title: MEASURED_BY.get(title, 'HealthHook, where the method has it')
            for title, curves in groups.items()
            if not curves
        }
        if run.curves
        else {'Curves': 'nothing was logged'},
        summary=dict(_flatten(run.summary)),
        notes=[*run.missing, *notes],
        config=run.cfg.pretty_text if run.cfg else '',
    )


def _flatten(tree: Mapping[str, Any], prefix: str = ''):
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f'{prefix}{name}: ')
        elif value is not None:
            yield f'{prefix}{name}', f'{value:.4g}' if isinstance(value, float) else value


def _number(show: Show, pool: dict[bytes, int], quality: int) -> dict[str, Any]:
    """Replace the pictures of a show by indices of JPEGs in ``pool``, which has each once."""

    def number(frame: np.ndarray, most: int) -> int:
        scale = min(1, most / max(frame.shape[:2]))
        size = [round(side * scale) for side in frame.shape[1::-1]]
        small = cv2.resize(frame[..., ::-1], size, interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return pool.setdefault(jpeg.tobytes(), len(pool))

    views = {
        title: [[number(f, MAX_SHEET if title in SHEETS else MAX_SIDE) for f in x] for x in drawn]
        for title, drawn in show.views.items()
    }
    return dict(video=show.video, checkpoints=show.checkpoints, views=views)


def _thin(name: str, curve: Curve) -> dict[str, Any]:
    """Every n-th point of a long curve, to six digits; None where it is not finite."""
    step = -(-len(curve[0]) // MAX_POINTS)
    x, y = (np.asarray(values, float)[::step] for values in curve)
    return dict(
        name=name, x=x.tolist(), y=[float(f'{v:.6g}') if np.isfinite(v) else None for v in y]
    )


def render_page(name: str, **content: Any) -> bytes:
    """A page that needs nothing else, from a template."""
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('mmvidssl.visualization'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(plotly=get_plotlyjs(), **content).encode()
