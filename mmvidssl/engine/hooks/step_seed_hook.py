"""Seed PyTorch before each iteration, so that a resumed run draws the same."""

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed PyTorch before each training iteration.

    Stochastic depth draws from PyTorch's global generator, whose state no checkpoint of MMEngine's
    holds. Here what it draws depends on the run's seed, the iteration and the process alone, so
    that a resumed run goes on as it would have.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed all devices."""
        sequence = np.random.SeedSequence([runner.seed, runner.iter, get_rank()])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
