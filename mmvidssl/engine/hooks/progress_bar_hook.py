"""A progress bar for short runs."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.console import Console

from mmvidssl.registry import HOOKS
from mmvidssl.utils.progress_bar import ProgressBar


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows how far training is, the time left and the loss, on the first process only.

    Args:
        title: What is being trained.
        show: Draw nothing if False.
    """

    priority = 'VERY_LOW'

    def __init__(self, title: str = 'training', show: bool = True) -> None:
        self.title, self.show = title, show
        self.bar: ProgressBar | None = None

    def before_train(self, runner) -> None:
        console = None if self.show and is_main_process() else Console(quiet=True)
        self.bar = ProgressBar(self.title, runner.max_iters, console)
        self.bar.open()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        loss = '' if not outputs or 'loss' not in outputs else f'loss {float(outputs["loss"]):.3f}'
        self.bar.update(runner.iter + 1, f'iteration {runner.iter + 1}/{runner.max_iters} {loss}')

    def after_train(self, runner) -> None:
        self.bar.close()
