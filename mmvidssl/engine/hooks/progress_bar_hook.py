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
    bar: ProgressBar

    def __init__(self, title: str = 'training', show: bool = True) -> None:
        self.title, self.show = title, show

    def before_train(self, runner) -> None:
        console = None if self.show and is_main_process() else Console(quiet=True)
        self.bar = ProgressBar(self.title, runner.max_iters, console)
        self.bar.open()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        loss = f'loss {outputs["loss"].item():.3f}' if outputs and 'loss' in outputs else ''
        self.bar.update(runner.iter + 1, f'iteration {runner.iter + 1}/{runner.max_iters} {loss}')

    def after_train(self, runner) -> None:
        self.bar.close()
