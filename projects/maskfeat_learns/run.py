"""The whole experiment: all seeds, printed and written down."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmvidssl.apis.quickstart import set_max_iters
from mmvidssl.utils import register_all_modules
from mmvidssl.utils.atomic_file import atomic_path

from .experiment import run_seed
from .in_memory import split_pictures, split_synthetic
from .report import format_table

CONFIGS = Path(__file__).parent / 'configs'


def run(
    images: str | None, seeds: Sequence[int], threads: int, work_dir: Path, options: dict
) -> list[dict[str, float]]:
    """Run all seeds; print a table, and write the numbers to ``work_dir/numbers.json``.

    Args:
        images: File of labelled pictures, or None for synthetic clips.
        seeds: One run for each.
        threads: Of torch.
        work_dir: For logs and numbers.
        options: Changes to the config, by dotted key. ``max_iters`` stretches the schedule.
    """
    cfg = load_config(images is not None, options)
    torch.set_num_threads(threads)
    register_all_modules()
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    what = images or 'SYNTHETIC clips drawn here (see docs/en/reference/maskfeat_learns.md)'
    print(f'MaskFeat on {what}: {cfg.max_iters} iterations, {threads} threads', flush=True)
    runs = []
    for seed in seeds:
        started = time.monotonic()
        split = split_synthetic if images is None else lambda *a: split_pictures(images, *a)
        splits = split(seed, cfg.sizes)
        numbers = run_seed(cfg, splits, seed, work_dir / f'seed{seed}')
        numbers['wall clock/everything'] = time.monotonic() - started
        runs.append(numbers)
        _write(work_dir / 'numbers.json', runs, seeds)
        print(f'seed {seed}: {time.monotonic() - started:.0f} s', flush=True)
    sizes = dict(cfg.sizes, many=len(splits.many.labels))
    print(format_table(runs, sizes))
    return runs


def load_config(pictures: bool, options: dict) -> Config:
    """The config of pictures or of synthetic clips, changed."""
    (path,) = CONFIGS.glob('*_pictures.py' if pictures else '*_synthetic.py')
    cfg = Config.fromfile(path)
    options = dict(options)
    max_iters = options.pop('max_iters', cfg.max_iters)
    set_max_iters(cfg, max_iters)
    cfg.max_iters = max_iters
    cfg.merge_from_dict(options)
    return cfg


def _write(path: Path, runs: Sequence[dict], seeds: Sequence[int]) -> None:
    with atomic_path(path) as partial:
        rows = [dict(seed=seed, **run) for seed, run in zip(seeds, runs, strict=False)]
        Path(partial).write_text(json.dumps(rows, indent=1))
