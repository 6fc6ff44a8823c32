"""Training loops that can be stopped anywhere."""

from .resumable_epoch_train_loop import ResumableEpochTrainLoop
from .resumable_iter_train_loop import ResumableIterTrainLoop

__all__ = ['ResumableEpochTrainLoop', 'ResumableIterTrainLoop']
