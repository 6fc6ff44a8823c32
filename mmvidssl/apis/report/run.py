"""What a run left behind: curves, settings, versions, checkpoints, broken videos."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvidssl.visualization import Curve, read_config, read_run

MAX_RUNS = 4
CHECKPOINT = re.compile(r'(?:iter|epoch)_(\d+)\.pth')
VERSION = re.compile(
    r'^ {4}(Python|PyTorch|TorchVision|OpenCV|MMEngine|CUDA available|GPU \d[^:]*|seed): (.+)',
    re.MULTILINE,
)
# What CollapseHook says when a collapse begins, and when it ends.
COLLAPSE = re.compile(r'COLLAPSE \((?P<begins>[^)]+)\), .+|CollapseHook: (?P<ends>[^,]+), seen .+')
VIDEO = {'path', 'reason', 'times', 'quarantined'}  # keys of a video in broken_videos.json
SETTINGS = {
    'method': 'model.type',
    'backbone': 'model.backbone.type',
    'architecture': 'model.backbone.arch',
    'prototypes': 'model.neck.num_prototypes',
    'objects': 'model.tracker.num_objects',
    'frames of a clip': 'train_dataloader.dataset.clip_len',
    'batch size of a process': 'train_dataloader.batch_size',
    'iterations': 'train_cfg.max_iters',
    'epochs': 'train_cfg.max_epochs',
    'optimizer': 'optim_wrapper.optimizer.type',
    'learning rate': 'optim_wrapper.optimizer.lr',
    'data': 'train_dataloader.dataset.data_root',
}


@dataclass
class Run:
    """What is known of a run, or of a checkpoint alone."""

    name: str
    curves: dict[str, Curve] = field(default_factory=dict)
    cfg: Config | None = None
    checkpoints: list[Path] = field(default_factory=list)
    broken: dict[str, Any] | None = None
    """Content of ``broken_videos.json``."""
    summary: dict[str, Any] = field(default_factory=dict)
    """What the quickstart measured."""
    versions: dict[str, str] = field(default_factory=dict)
    collapses: list[str] = field(default_factory=list)
    """Warnings of ``CollapseHook`` that it did not call off."""
    nan: str = ''
    """The file that ``NaNGuardHook`` left when it stopped the run."""
    missing: list[str] = field(default_factory=list)
    """Sentences about what was not found."""

    @property
    def last(self) -> int:
        """The last iteration that was logged."""
        return int(max((x[-1] for x, _ in self.curves.values()), default=0))

    @property
    def settings(self) -> dict[str, str]:
        """The most important settings of the config, by name."""
        found = {}
        for name, key in SETTINGS.items():
            value: Any = self.cfg
            for part in key.split('.'):
                value = value.get(part) if isinstance(value, Config | dict) else None
            if value is not None:
                found[name] = str(value)
        return found


def read_runs(work_dir: str | os.PathLike) -> list[Run]:
    """Read the run in a work directory, or the runs in its sub-folders, as the quickstart's.

    Raises:
        FileNotFoundError: If there is no such folder, or no run in it.
        ValueError: If it holds more than ``MAX_RUNS`` runs, or a file is damaged; names it.
    """
    folder = Path(work_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f'no such work directory: {work_dir}')
    found = [folder] if _is_run(folder) else sorted(filter(_is_run, folder.glob('*/')))
    if not found:
        raise FileNotFoundError(f'{work_dir} holds no run, nor do the folders in it')
    if len(found) > MAX_RUNS:
        names = ', '.join(path.name for path in found)
        raise ValueError(f'a report is of at most {MAX_RUNS} runs; {work_dir} holds {names}')
    return [_read_run(path) for path in found]


def _is_run(folder: Path) -> bool:
    traces = chain(folder.glob('*/vis_data'), folder.glob('*/*.log'), _checkpoints(folder))
    return any(True for _ in traces)


def _checkpoints(folder: Path) -> list[Path]:
    matches = ((CHECKPOINT.fullmatch(path.name), path) for path in folder.glob('*.pth'))
    return [path for _, path in sorted((int(m[1]), path) for m, path in matches if m)]


def _read_run(folder: Path) -> Run:
    run = Run(folder.resolve().name, read_run(folder), read_config(folder), _checkpoints(folder))
    for path in sorted(folder.glob('*/*.log'))[-1:]:
        log = path.read_text(encoding='utf-8', errors='replace')
        run.versions = dict(VERSION.findall(log))
        collapses = {}
        for found in COLLAPSE.finditer(log):
            collapses[found['begins'] or found['ends']] = found['begins'] and found[0]
        run.collapses = list(filter(None, collapses.values()))
    run.broken = _read_broken(folder / 'broken_videos.json')
    run.summary = _read_json(folder / 'summary.json') or {}
    for path in folder.glob('nan_iter_*.pth'):
        if int(re.findall(r'\d+', path.name)[0]) >= run.last:  # otherwise the run went on
            run.nan = path.name
    run.missing = list(_missing(run, folder))
    return run


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None
    except ValueError as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
    if not isinstance(found, dict | None):
        raise ValueError(f'{path} must hold an object of JSON, got {type(found).__name__}')
    return found


def _read_broken(path: Path) -> dict[str, Any] | None:
    found = _read_json(path)
    videos = found.get('videos') if found else None
    if found is not None and not (
        {'num_samples', 'num_replaced'} <= set(found)
        and isinstance(videos, list)
        and all(isinstance(video, dict) and set(video) >= VIDEO for video in videos)
    ):
        raise ValueError(f'{path} is not what DataFailureHook writes; move it away')
    return found


def _missing(run: Run, folder: Path) -> Iterator[str]:
    if not run.curves:
        yield 'The log is empty: the run ended before the first numbers were written.'
    if run.cfg is None:
        yield 'No config was found, so that settings and pictures are missing.'
    if not run.checkpoints:
        yield 'There is no checkpoint, so that nothing can be drawn.'
    if run.broken is None:
        yield 'broken_videos.json is not there (DataFailureHook writes it).'
    goal = run.cfg.get('train_cfg') if run.cfg else None
    for word, key in (('iter', 'max_iters'), ('epoch', 'max_epochs')):
        end = (goal or {}).get(key)
        is_over = end and word == 'iter' and run.last >= end
        if end and not is_over and not (folder / f'{word}_{end}.pth').is_file():
            yield (
                f'The end of the run, {word}_{end}.pth, is not there: it crashed, was stopped, is '
                f'still running, or the file was moved. The last numbers: iteration {run.last}.'
            )


def read_checkpoint(config: str | os.PathLike, checkpoint: str | os.PathLike) -> Run:
    """Make a :class:`Run` of a checkpoint alone.

    Raises:
        FileNotFoundError: If one of the files does not exist.
        ValueError: If the config cannot be read.
    """
    for path in (config, checkpoint):
        if not Path(path).is_file():
            raise FileNotFoundError(f'no such file: {path}')
    run = Run(Path(checkpoint).name, cfg=read_config(config), checkpoints=[Path(checkpoint)])
    run.missing = ['This is a checkpoint alone: the log of its run was not given.']
    return run
