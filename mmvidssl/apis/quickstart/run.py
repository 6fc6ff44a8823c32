"""DoRA on one video in a few minutes: prepare it, measure, train, measure again, report."""

import math
import os
import time
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvidssl.apis import publish_model

from .footage import ANN_FILE, prepare_footage
from .moment_knn import make_moment_knn
from .report import describe, draw_loss, draw_objects, write_summary
from .short_run import QuietRunner, measure_step_time, set_max_iters

FOOTAGE_RATE = 12.0  # seconds of video a minute: half of that to prepare in 4K
FOOTAGE_LIMITS = (10.0, 600.0)  # seconds
USUAL_MINUTES = 5.0
END_SECONDS = 20.0  # for measuring features and drawing
SAFETY = 0.9  # of the time left; steps of a long run are slower than the first ones


def run_quickstart(
    video: str | os.PathLike,
    minutes: float | None,
    config: str | os.PathLike,
    work_dir: str | os.PathLike = 'work_dirs/quickstart',
    started: float | None = None,
) -> dict[str, Any]:
    """Train on a video for as many iterations as the config says, or as fit, and show what came.

    Args:
        video: The footage; the beginning of a long one is used.
        minutes: Wall-clock time for everything, for more iterations than the config's; with None,
            or where fewer would fit, it is as many as the config says.
        config: A DoRA config whose run is counted in iterations, with a ``LongVideoDataset``.
        work_dir: Where everything goes. A folder that is there is moved aside, not overwritten.
        started: ``time.monotonic()`` at which the budget began; now by default.

    Returns:
        The content of ``summary.json``.

    Raises:
        VideoError: If the video is missing, empty or damaged.
        ValueError: If it is too short, or ``minutes`` is not positive.
    """
    started = time.monotonic() if started is None else started
    if minutes is not None and not 0 < minutes < math.inf:
        raise ValueError(f'minutes must be positive, got {minutes}')
    work_dir = _fresh_folder(Path(work_dir))
    shortest, longest = FOOTAGE_LIMITS
    seconds = min(longest, max(shortest, FOOTAGE_RATE * (minutes or USUAL_MINUTES)))
    footage = prepare_footage(video, work_dir / 'video', seconds)
    cfg = _load_config(config, footage.parent, work_dir)
    knn = make_moment_knn(footage, _crop_size(cfg))
    step_seconds = measure_step_time(cfg)
    max_iters = cfg.train_cfg.max_iters
    if minutes:
        left = started + 60 * minutes - time.monotonic() - END_SECONDS
        max_iters = max(max_iters, int(SAFETY * left / step_seconds))
    set_max_iters(cfg, max_iters)
    cfg.dump(str(work_dir / 'config.py'))
    needed = (max_iters * step_seconds + END_SECONDS) / 60
    beyond = minutes is not None and needed > minutes
    why = f', beyond the {minutes:g} given: fewer show nothing' if beyond else ''
    print(
        f'{max_iters} iterations of {step_seconds:.2f} s and the end: about {needed:.1f} minutes '
        f'on this machine as it is now{why}',
        flush=True,
    )

    runner = QuietRunner.from_cfg(cfg)
    runner.model.init_weights()  # done here, it is not done again
    before = knn.accuracy(runner.model.eval())
    runner.train()
    model = runner.model.eval()
    curves = draw_loss(work_dir, math.log(cfg.model.neck.num_prototypes))
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    summary = dict(
        video=str(video),
        work_dir=str(work_dir),
        footage_seconds=knn.seconds,
        iterations=runner.iter,
        seconds_per_iteration=step_seconds,
        **curves,
        overlap=draw_objects(model, footage, work_dir),
        knn=knn.compare(before, knn.accuracy(model)),
        backbone=publish_model(checkpoint, work_dir / 'backbone.pth').name,
        seconds=time.monotonic() - started,
    )
    write_summary(work_dir, summary)
    print(describe(summary))
    return summary


def _fresh_folder(work_dir: Path) -> Path:
    """Move what an earlier run left to ``<work_dir>.<time>``."""
    if work_dir.exists() and any(work_dir.iterdir()):
        stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime(work_dir.stat().st_mtime))
        old = work_dir.with_name(f'{work_dir.name}.{stamp}')
        os.rename(work_dir, old)
        print(f'the earlier {work_dir} is now {old}')
    work_dir.mkdir(parents=True, exist_ok=True)
    return work_dir


def _load_config(config: str | os.PathLike, footage: Path, work_dir: Path) -> Config:
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.update(data_root=str(footage), ann_file=ANN_FILE)
    cfg.work_dir = str(work_dir)
    cfg.default_hooks.progress = dict(type='ProgressBarHook', terminal_only=False)
    return cfg


def _crop_size(cfg: Config) -> int:
    """Size of the global view, at which the backbone is trained."""
    size = cfg.model.backbone.img_size
    return size if isinstance(size, int) else size[0]
