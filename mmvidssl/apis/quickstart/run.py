"""The quickstart: prepare a video, measure both methods, train, measure again, report."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvidssl.apis import publish_model
from mmvidssl.apis.report import read_runs, write_report
from mmvidssl.datasets.readers.base import check_video_file
from mmvidssl.utils.atomic_file import atomic_path

from .dora import DoRADemo
from .footage import ANN_FILE, open_footage, prepare_footage
from .maskfeat import MaskFeatDemo
from .object_jaccard import ObjectJaccard
from .short_run import QuietRunner, measure_step_time, set_max_iters

DEMOS: dict[str, Any] = dict(dora=DoRADemo, maskfeat=MaskFeatDemo)
FOOTAGE_RATE = 12.0  # seconds of video a minute; preparing 4K takes half the minute
LONGEST = 600.0  # seconds of video
USUAL_MINUTES = 5.0
END_SECONDS = 20.0  # for measuring features and drawing
SAFETY = 0.9  # of the time left; steps of a long run are slower than the first ones

FILES = """
  {backbone}  the backbone, published; use it with
                         init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')
  summary.json           all numbers
  config.py              what was run"""


def run_quickstart(
    video: str | os.PathLike,
    minutes: float | None,
    configs: Mapping[str, str | os.PathLike],
    work_dir: str | os.PathLike = 'work_dirs/quickstart',
    started: float | None = None,
    davis: str | os.PathLike | None = None,
) -> dict[str, dict[str, Any]]:
    """Train on a video for the iterations of the configs, or more if they fit, and report.

    Args:
        video: The footage; the beginning of a long one is used.
        minutes: Wall-clock time for everything, to train for more iterations than the configs say.
            Where fewer would fit, and with None, they are as many as the configs say.
        configs: Configs by method (``'dora'``, ``'maskfeat'``), trained one after the other: of
            runs counted in iterations, with a ``LongVideoDataset``.
        work_dir: Folder of all results, with a sub-folder per method. An earlier one is moved
            aside, not overwritten.
        started: ``time.monotonic()`` at which the budget began; now by default.
        davis: A folder of DAVIS, whose objects DoRA's are compared with, before and after.

    Returns:
        The content of ``summary.json`` by method.

    Raises:
        FileNotFoundError: If ``davis`` is not what it should be; names what is missing.
        VideoError: If the video is missing, empty or damaged.
        ValueError: If it is too short, ``minutes`` is not positive, or a config is of another
            method.
    """
    started = time.monotonic() if started is None else started
    if minutes is not None and not 0 < minutes < math.inf:
        raise ValueError(f'minutes must be positive, got {minutes}')
    check_video_file(str(video))
    work_dir = Path(work_dir)
    footage_dir = work_dir / 'video'
    cfgs = {name: _load_config(name, c, footage_dir, work_dir) for name, c in configs.items()}
    jaccard = ObjectJaccard(davis) if davis else None
    _move_aside(work_dir)
    seconds = min(LONGEST, FOOTAGE_RATE * max(minutes or 0, USUAL_MINUTES))
    footage = prepare_footage(video, footage_dir, seconds)
    reader = open_footage(footage)
    length = reader.num_frames / reader.fps
    more = dict(dora=dict(jaccard=jaccard))
    demos = {name: DEMOS[name](cfg, footage, **more.get(name, {})) for name, cfg in cfgs.items()}
    steps = {name: measure_step_time(cfg) for name, cfg in cfgs.items()}
    usual = {name: cfg.train_cfg.max_iters for name, cfg in cfgs.items()}
    spent = time.monotonic() - started + END_SECONDS * len(cfgs)
    left = 60 * (minutes or 0) - spent
    max_iters = share_out(left, usual, steps)
    needed = (spent + sum(max_iters[name] * steps[name] for name in cfgs)) / 60
    for name, cfg in cfgs.items():
        set_max_iters(cfg, max_iters[name])
        print(f'{name}: {max_iters[name]} iterations of {steps[name]:.2f} s')
    beyond = minutes is not None and needed > minutes
    why = f', beyond the {minutes:g} given: fewer show nothing' if beyond else ''
    print(f'In all about {needed:.1f} minutes on this machine as it is now{why}', flush=True)
    summaries = {}
    for name, cfg in cfgs.items():
        print(f'\n{name}', flush=True)
        facts = dict(video=str(video), footage_seconds=length)
        facts['seconds_per_iteration'] = steps[name]
        summaries[name] = _train(cfg, demos[name], facts)
    report = write_report(work_dir / 'report.html', read_runs(work_dir), [footage])
    print(f'\nOpen this first: {report}')
    for name, summary in summaries.items():
        print(f'\n{name}{demos[name].describe(summary)}{FILES.format(**summary)}')
    print('\nNext: bash tools/quickstart.sh --video MY_VIDEO.mp4 --minutes 30')
    return summaries


def _train(cfg: Config, demo: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one method; returns the summary, ``facts`` first, and writes it."""
    started = time.monotonic()
    work_dir = Path(cfg.work_dir)
    work_dir.mkdir()
    cfg.dump(str(work_dir / 'config.py'))
    runner = QuietRunner.from_cfg(cfg)
    runner.model.init_weights()  # not repeated by train()
    demo.before(runner.model.eval())
    runner.train()
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    summary = dict(
        facts,
        work_dir=str(work_dir),
        iterations=runner.iter,
        **demo.after(runner.model.eval(), work_dir),
        backbone=publish_model(checkpoint, work_dir / 'backbone.pth').name,
        seconds=time.monotonic() - started,
    )
    with atomic_path(work_dir / 'summary.json') as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + '\n')
    return summary


def share_out(
    seconds: float, usual: Mapping[str, int], step_seconds: Mapping[str, float]
) -> dict[str, int]:
    """Iterations by method: the usual ones, and as many more as fit into equal shares of the rest.

    Args:
        seconds: Wall-clock time for all iterations.
        usual: Iterations of each method.
        step_seconds: Seconds of an iteration of each method.
    """
    rest = SAFETY * seconds - sum(usual[name] * step_seconds[name] for name in usual)
    share = max(0.0, rest) / len(usual)
    return {name: usual[name] + int(share / step_seconds[name]) for name in usual}


def _move_aside(work_dir: Path) -> None:
    """Rename what an earlier run left to ``<work_dir>.<time>``."""
    if work_dir.exists() and any(work_dir.iterdir()):
        stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime(work_dir.stat().st_mtime))
        old = work_dir.with_name(f'{work_dir.name}.{stamp}')
        os.rename(work_dir, old)
        print(f'the earlier {work_dir} is now {old}')
    work_dir.mkdir(parents=True, exist_ok=True)


def _load_config(name: str, config: str | os.PathLike, footage: Path, work_dir: Path) -> Config:
    cfg = Config.fromfile(config)
    method = cfg.get('model', {}).get('type', '').rpartition('.')[2]
    if method.lower() != name:
        raise ValueError(f'{config} is of {method or "no model"}, not of --method {name}')
    cfg.train_dataloader.dataset.update(data_root=str(footage), ann_file=ANN_FILE)
    cfg.work_dir = str(work_dir / name)
    cfg.default_hooks.progress = dict(type='ProgressBarHook', terminal_only=False)
    return cfg
