"""Progress bar of training."""

import sys
from contextlib import ExitStack

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mmvidssl.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Progress bar of training, with the time left and the loss; on the first process only.

    On a terminal, the log is printed above the bar.

    Args:
        terminal_only: Draw nothing where the output is not a terminal; else a line now and then.
    """

    priority = 'VERY_LOW'

    def __init__(self, terminal_only: bool = False) -> None:
        self.terminal_only = terminal_only

    def before_train(self, runner) -> None:
        is_terminal = sys.stderr.isatty()
        self.bar = tqdm(
            desc='training',
            total=runner.max_iters,
            initial=runner.iter,
            disable=not is_main_process() or (self.terminal_only and not is_terminal),
            mininterval=0.5 if is_terminal else 10,  # seconds; a file gets few lines
        )
        self._redirected = ExitStack()
        if is_terminal and not self.bar.disable:
            self._redirected.enter_context(logging_redirect_tqdm([runner.logger]))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.bar.disable:
            return
        if outputs and 'loss' in outputs:
            self.bar.set_postfix_str(f'loss {outputs["loss"].item():.3f}', refresh=False)
        self.bar.update()

    def after_train(self, runner) -> None:
        self.bar.close()
        self._redirected.close()
