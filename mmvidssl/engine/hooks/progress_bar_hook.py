"""A progress bar for short runs."""

import sys

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from tqdm import tqdm

from mmvidssl.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows how far training is, the time left and the loss, on the first process only."""

    priority = 'VERY_LOW'

    def before_train(self, runner) -> None:
        self.bar = tqdm(
            desc='training',
            total=runner.max_iters,
            initial=runner.iter,
            disable=not is_main_process(),
            mininterval=0.5 if sys.stderr.isatty() else 10,  # seconds; a file gets few lines
        )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if outputs and 'loss' in outputs:
            self.bar.set_postfix_str(f'loss {outputs["loss"].item():.3f}', refresh=False)
        self.bar.update()

    def after_train(self, runner) -> None:
        self.bar.close()
