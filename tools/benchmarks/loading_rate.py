"""Loading speed of a config's data, and whether training would wait for it."""

import copy
import math
import os
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmvidssl.engine.optimizers import fit_to_device
from mmvidssl.registry import MODELS
from mmvidssl.utils import register_all_modules
from tools.benchmarks.measuring import memory_with_children

MIN_BATCHES_EACH = 4
MEMORY_SECONDS = 1.0  # between readings of memory, each of which stops the process


class LoadingRate(NamedTuple):
    """Measured speed of loading some batches.

    Attributes:
        num_workers: Processes that loaded; 0 for the one that would train.
        clips_per_second: Clips loaded by all workers together, while nothing else was done.
        batches_per_second: Batches loaded; an item of the data set may be several clips.
        wait_share: Share of the time that steps of ``step_seconds`` would have waited for data;
            None if no step was given.
        mib_per_worker: Peak memory of a worker and its decoder, sampled between batches, shared
            pages counted in proportion; None if the system does not tell (Linux does).
    """

    num_workers: int
    clips_per_second: float
    batches_per_second: float
    wait_share: float | None
    mib_per_worker: float | None


def measure_loading(
    cfg: Config, num_workers: int, num_batches: int, step_seconds: float | None = None
) -> LoadingRate:
    """Measure the speed of loading batches as training would.

    Args:
        cfg: Config with ``train_dataloader``.
        num_workers: Replaces the config's.
        num_batches: Batches to time, after the workers' first ones; rounded up to as many of each
            worker, at least four, because workers that began together deliver together.
        step_seconds: Seconds of training between two batches; slept, as if a GPU worked.

    Raises:
        ValueError: the data set has too few batches; whatever the data set raises.
    """
    loader = build_loader(cfg, num_workers)
    each = max(1, num_workers)
    num_batches = max(math.ceil(num_batches / each), MIN_BATCHES_EACH) * each
    num_first = max(1, num_workers * (loader.prefetch_factor or 0))
    rounds = 1 if step_seconds is None else 2
    needed = num_first + rounds * num_batches
    if len(loader) < needed:
        raise ValueError(
            f'the data set has {len(loader)} batches of {loader.batch_size}, {needed} are needed: '
            f'{num_first} until all workers have started and {rounds} x {num_batches} to measure; '
            'ask for fewer, or for fewer workers'
        )
    batches = iter(loader)
    num_clips = 0
    for _ in range(num_first):
        next(batches)
    pids = [worker.pid for worker in getattr(batches, '_workers', [])] or [os.getpid()]
    memory = [memory_with_children(pid) or 0.0 for pid in pids]
    started = looked = time.perf_counter()
    for _ in range(num_batches):
        num_clips += len(next(batches)['data_samples'])
        if time.perf_counter() - looked > MEMORY_SECONDS:
            memory += [memory_with_children(pid) or 0.0 for pid in pids]
            looked = time.perf_counter()
    seconds = time.perf_counter() - started
    waits = None if step_seconds is None else _wait_share(batches, num_batches, step_seconds)
    return LoadingRate(
        num_workers, num_clips / seconds, num_batches / seconds, waits, max(memory) or None
    )


def _wait_share(batches, num_batches: int, step_seconds: float) -> float:
    waited, started = 0.0, time.perf_counter()
    for _ in range(num_batches):
        asked = time.perf_counter()
        next(batches)
        waited += time.perf_counter() - asked
        time.sleep(step_seconds)
    return waited / (time.perf_counter() - started)


def build_loader(cfg: Config, num_workers: int) -> DataLoader:
    """The training data loader of a config, with another number of workers."""
    register_all_modules()
    loader_cfg = copy.deepcopy(cfg.train_dataloader)
    loader_cfg.num_workers = num_workers
    if num_workers == 0:
        loader_cfg.persistent_workers = False
        loader_cfg.pop('prefetch_factor', None)
    return Runner.build_dataloader(loader_cfg, seed=0)


def measure_step(cfg: Config, num_steps: int = 3) -> float:
    """Seconds of an iteration (forward, backward, optimizer) on a batch that is loaded already."""
    device = get_device()
    cfg = copy.deepcopy(cfg)
    fit_to_device(cfg.optim_wrapper, device)
    batch = next(iter(build_loader(cfg, num_workers=0)))
    model = MODELS.build(cfg.model).to(device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    seconds = []
    for _ in range(num_steps + 1):
        started = time.perf_counter()
        losses = model.train_step(copy.deepcopy(batch), optim_wrapper)
        losses['loss'].item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def needed_workers(rate: LoadingRate, step_seconds: float) -> int:
    """Number of workers that would load batches as fast as training takes them."""
    each = rate.batches_per_second / max(rate.num_workers, 1)
    return math.ceil(1 / step_seconds / each)


def with_reader(cfg: Config, reader: dict) -> Config:
    """The same config with another reader of its videos."""
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader.dataset.reader = reader
    return cfg


def with_videos(cfg: Config, videos: Sequence[str]) -> Config:
    """The same config with other videos (proxies, say) in a ``LongVideoDataset``.

    Raises:
        ValueError: if its data set is of another type.
    """
    cfg = copy.deepcopy(cfg)
    dataset = cfg.train_dataloader.dataset
    names = ('LongVideoDataset', 'WalkingToursDataset')
    if dataset.type.removeprefix('mmvidssl.') not in names:
        raise ValueError(f'videos can be given for {" or ".join(names)}, got {dataset.type}')
    for key in ('cities', 'ann_file', 'data_root', 'data_prefix', 'videos'):
        dataset.pop(key, None)
    dataset.update(type='mmvidssl.LongVideoDataset', videos=list(videos))
    return cfg
