"""What a run left behind: curves, settings, versions, checkpoints, broken videos."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmvidssl.visualization import read_run
from mmvidssl.visualization.curves import Curve

CHECKPOINT = re.compile(r'(?:iter|epoch)_(\d+)\.pth')
VERSION = re.compile(
    r'^ {4}(Python|PyTorch|TorchVision|OpenCV|MMEngine|CUDA available|GPU [^:]+|seed): (.+)',
    re.MULTILINE,
)
SETTINGS = {
    'method': 'model.type',
    'backbone': 'model.backbone.type',
    'architecture': 'model.backbone.arch',
    'prototypes': 'model.neck.num_prototypes',
    'objects': 'model.tracker.num_objects',
    'clip': 'train_dataloader.dataset.clip_len',
    'batch size': 'train_dataloader.batch_size',
    'iterations': 'train_cfg.max_iters',
    'epochs': 'train_cfg.max_epochs',
    'optimizer': 'optim_wrapper.optimizer.type',
    'learning rate': 'optim_wrapper.optimizer.lr',
    'data': 'train_dataloader.dataset.data_root',
}


@dataclass
class Run:
    """A run, or a checkpoint alone; ``missing`` says in words what is not there."""

    name: str
    curves: dict[str, Curve] = field(default_factory=dict)
    cfg: Config | None = None
    checkpoints: list[Path] = field(default_factory=list)
    broken: dict | None = None
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """Those of the config that matter most."""
        found = {}
        for name, key in SETTINGS.items():
            value = self.cfg
            for part in key.split('.'):
                value = value.get(part) if isinstance(value, Config | dict) else None
            if value is not None:
                found[name] = str(value)
        return found


def read_work_dir(work_dir: str | os.PathLike) -> Run:
    """Read what is in a work directory.

    Raises:
        FileNotFoundError: If there is no such folder, or no run in it; names runs below it.
        ValueError: If one of its files is damaged; names it.
    """
    folder = Path(work_dir)
    run = Run(folder.resolve().name, read_run(folder))
    numbered = [(int(m[1]), p) for p in folder.glob('*.pth') if (m := CHECKPOINT.fullmatch(p.name))]
    run.checkpoints = [path for _, path in sorted(numbered)]
    configs = [*sorted(folder.glob('*/vis_data/config.py')), *folder.glob('*.py')]
    logs = sorted(folder.glob('*/*.log'))
    if not (run.curves or run.checkpoints or configs or logs):
        below = sorted({str(path.parents[1]) for path in folder.glob('*/*/vis_data')})
        which = f'; runs are in {", ".join(below)}' if below else ''
        raise FileNotFoundError(f'{work_dir} holds no run{which}')
    if configs:
        starts = [path for path in configs if path.parent.name == 'vis_data']
        run.cfg = Config.fromfile((starts or configs)[-1])
    if logs:
        run.versions = dict(VERSION.findall(logs[-1].read_text(encoding='utf-8', errors='replace')))
    report = folder / 'broken_videos.json'
    if report.is_file():
        try:
            run.broken = json.loads(report.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{report} is not JSON: {error}') from error
    run.missing = list(_missing(run, folder))
    return run


def _missing(run: Run, folder: Path) -> Iterator[str]:
    if not run.curves:
        yield 'The log is empty: the run ended before the first numbers were written.'
    if run.cfg is None:
        yield 'No config was found, so that settings and pictures are missing.'
    if not run.checkpoints:
        yield 'There is no checkpoint, so that nothing can be drawn.'
    if run.broken is None:
        yield 'broken_videos.json is not there (DataFailureHook writes it).'
    for path in sorted(folder.glob('nan_iter_*.pth')):
        yield f'NaNGuardHook stopped the run: {path.name} has the batch.'
    goal = run.cfg.get('train_cfg') if run.cfg else None
    last = max((x[-1] for x, _ in run.curves.values()), default=0)
    for word, key in (('iter', 'max_iters'), ('epoch', 'max_epochs')):
        end = (goal or {}).get(key)
        is_over = end and word == 'iter' and last >= end
        if end and not is_over and not (folder / f'{word}_{end}.pth').is_file():
            yield (
                f'The end of the run, {word}_{end}.pth, is not there: it crashed, was stopped, is '
                f'still running, or the file was moved. The last numbers: iteration {last}.'
            )


def read_checkpoint(config: str | os.PathLike, checkpoint: str | os.PathLike) -> Run:
    """A checkpoint without its run.

    Raises:
        FileNotFoundError: If one of the files does not exist.
    """
    for path in (config, checkpoint):
        if not Path(path).is_file():
            raise FileNotFoundError(f'no such file: {path}')
    run = Run(Path(checkpoint).name, cfg=Config.fromfile(config), checkpoints=[Path(checkpoint)])
    run.missing = ['This is a checkpoint alone: the log of its run was not given.']
    return run
