"""Training runs of a few minutes: their schedule and their speed."""

import copy
import gc
import logging
import math
import tempfile
import time
from collections.abc import Callable

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

NUM_WARMUP_STEPS = 3
NUM_MEASURED_STEPS = 6
MIN_CURVE_POINTS = 30
NUM_CHECKPOINTS = 4  # that a report's slider goes through


def set_max_iters(cfg: Config, max_iters: int) -> None:
    """Stretch or shrink everything in ``cfg`` that counts iterations to a run of ``max_iters``.

    That is the training loop, what schedulers count (``warmup``, ``end``, ...), temperature
    warm-ups and grace periods counted in iterations, and checkpoints, of which there are
    ``NUM_CHECKPOINTS``, about. Losses are logged often enough for a curve.

    Raises:
        ValueError: If the config counts in epochs.
    """
    if cfg.train_cfg.get('max_iters') is None:
        raise ValueError(
            "the run's length must be given in iterations (train_cfg.max_iters), got "
            f'train_cfg={dict(cfg.train_cfg)}'
        )
    factor = max_iters / cfg.train_cfg.max_iters
    cfg.train_cfg.max_iters = max_iters
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        if not scheduler.get('by_epoch', True):
            _scale(scheduler, ('begin', 'end', 'T_max', 'warmup'), factor)
    for hook in cfg.get('custom_hooks') or []:
        if not hook.get('by_epoch', True):
            _scale(hook, ('warmup_epochs',), factor)
        _scale(hook, ('grace',), factor)
    hooks = cfg.get('default_hooks', {})
    if hooks.get('checkpoint'):
        interval = math.ceil(max_iters / NUM_CHECKPOINTS)
        hooks.checkpoint.update(by_epoch=False, interval=interval)
    if hooks.get('logger'):
        often_enough = max(1, max_iters // MIN_CURVE_POINTS)
        hooks.logger.interval = min(hooks.logger.get('interval', often_enough), often_enough)


def _scale(cfg: dict, keys: tuple[str, ...], factor: float) -> None:
    for key in keys:
        if cfg.get(key):
            cfg[key] = max(1, round(cfg[key] * factor))


class QuietRunner(Runner):
    """A runner that logs to its file only and leaves the screen to a progress bar."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """As MMEngine does, but only errors are printed."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
        return logger


def measure_step_time(cfg: Config, clock: Callable[[], float] = time.monotonic) -> float:
    """Measure the seconds of an iteration, over a few of a run that is thrown away.

    Everything takes part: decoding, augmentation, the model, the hooks; ``time.process_time``
    counts what this process does of it.
    """
    cfg = copy.deepcopy(cfg)
    set_max_iters(cfg, NUM_WARMUP_STEPS + NUM_MEASURED_STEPS)
    cfg.default_hooks = dict(cfg.get('default_hooks') or {}, checkpoint=None, logger=None)
    cfg.default_hooks.pop('progress', None)
    cfg.train_dataloader.persistent_workers = False  # those of a deleted runner end late
    cfg.experiment_name = f'step_time_{time.time_ns()}'  # runners of one name share a logger
    stopwatch = _Stopwatch(clock)
    with tempfile.TemporaryDirectory() as cfg.work_dir:
        runner = QuietRunner.from_cfg(cfg)
        runner.register_hook(stopwatch, priority='LOWEST')
        runner.train()
        del runner
        gc.collect()  # ends the data loading workers
    measured = stopwatch.times[NUM_WARMUP_STEPS - 1 :]
    return (measured[-1] - measured[0]) / NUM_MEASURED_STEPS


class _Stopwatch(Hook):
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.times: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.times.append(self.clock())
