"""Training and test loops that resume where they were stopped."""

from .resumable_epoch_train_loop import ResumableEpochTrainLoop
from .resumable_iter_train_loop import ResumableIterTrainLoop
from .resumable_test_loop import ResumableTestLoop

__all__ = ['ResumableEpochTrainLoop', 'ResumableIterTrainLoop', 'ResumableTestLoop']
