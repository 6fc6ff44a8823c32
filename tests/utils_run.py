"""Real runs of MMEngine's runner on a tiny model and a tiny video."""

import itertools
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

TINY_CONFIG = Path(__file__).parent / 'configs' / 'dora_tiny.py'
ITERS_PER_EPOCH, NUM_EPOCHS = 4, 2
_count = itertools.count()


def tiny_cfg(video: str | Path, work_dir: str | Path, **options: Any) -> Config:
    """The tiny config on a video; ``options`` are dotted keys, a dot being two underscores."""
    cfg = Config.fromfile(TINY_CONFIG)
    cfg.train_dataloader.dataset.videos = [str(video)]
    cfg.work_dir = str(work_dir)
    # MMEngine's runners of one name share logger and message hub.
    cfg.experiment_name = f'test{next(_count)}'
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return cfg


def train(cfg: Config, *hooks: Hook) -> Runner:
    """A run from beginning to end; ``hooks`` see each iteration after all others."""
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook, priority='LOWEST')
    runner.train()
    workers = runner.train_dataloader._iterator  # what is persistent about persistent_workers
    if workers is not None:
        workers._shutdown_workers()  # takes 5 s a worker if left to the garbage collector
    return runner


class Recorder(Hook):
    """What a run was like at the end of each iteration, one dict an iteration."""

    def __init__(self) -> None:
        self.rows: list[dict] = []

    def before_train(self, runner) -> None:
        self.start = _copies(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        groups = runner.optim_wrapper.optimizer.param_groups
        row = dict(
            lr=[group['lr'] for group in groups],
            weight_decay=[group['weight_decay'] for group in groups],
            teacher_temp=_module(runner).target_generator.teacher_temp,
        )
        self.rows.append({**row, **_copies(runner)})

    def column(self, name: str) -> list:
        """One entry of every iteration."""
        return [row[name] for row in self.rows]


@HOOKS.register_module()
class SaveStateHook(Hook):
    """Save the model of each process, and the clips it saw, as ``<out_dir>/rank<N>.pth``."""

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)
        self.seen: list[list[int]] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.seen += [sample.frame_inds for sample in data_batch['data_samples']]

    def after_train(self, runner) -> None:
        state = dict(state_dict=_module(runner).state_dict(), seen=self.seen)
        torch.save(state, self.out_dir / f'rank{get_rank()}.pth')


def _module(runner):
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _copies(runner) -> dict:
    model = _module(runner)
    return dict(
        student=model.backbone.layers[0].attn.qkv.weight.detach().clone(),
        teacher=model.teacher.backbone.layers[0].attn.qkv.weight.detach().clone(),
    )
