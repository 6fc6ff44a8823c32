"""Schedule of the temperature that sharpens the teacher's targets."""

from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS

from ..utils import check_loop_counts_epochs, unwrap_model


@HOOKS.register_module()
class TeacherTempHook(Hook):
    """Warm the teacher's temperature up linearly, then keep it.

    The ramp has ``warmup_epochs`` values, both ends included. Set before every epoch, or before
    every iteration with ``by_epoch=False``.

    Args:
        warmup_teacher_temp: Temperature at the start.
        teacher_temp: Temperature after the warm-up.
        warmup_epochs: Length of the warm-up, in epochs or, with ``by_epoch=False``, iterations.
        by_epoch: The unit.
        max_share: Longest warm-up as a share of the run.

    Source: DINO, appendix "Implementation details". The released DoRA sets both temperatures to
    0.04, so that its 30 warm-up epochs have no effect.
    """

    def __init__(
        self,
        warmup_teacher_temp: float = 0.04,
        teacher_temp: float = 0.04,
        warmup_epochs: int = 0,
        by_epoch: bool = True,
        max_share: float = 0.3,
    ) -> None:
        if min(warmup_teacher_temp, teacher_temp) <= 0:
            raise ValueError(
                'teacher temperatures must be positive, got '
                f'warmup_teacher_temp={warmup_teacher_temp} and teacher_temp={teacher_temp}'
            )
        self.warmup_teacher_temp = warmup_teacher_temp
        self.teacher_temp = teacher_temp
        self.warmup_epochs = warmup_epochs
        self.by_epoch = by_epoch
        self.max_share = max_share

    def temp_at(self, step: int) -> float:
        """Temperature at an epoch (or iteration), counted from 0."""
        if step >= self.warmup_epochs:
            return self.teacher_temp
        share = step / max(self.warmup_epochs - 1, 1)
        return self.warmup_teacher_temp + share * (self.teacher_temp - self.warmup_teacher_temp)

    def before_train(self, runner) -> None:
        """Limit the warm-up to ``max_share``; check that the loop counts epochs, if it must.

        Raises:
            ValueError: says which option to set.
        """
        if self.by_epoch and self.warmup_epochs > 1:
            check_loop_counts_epochs(runner, f'TeacherTempHook(warmup_epochs={self.warmup_epochs})')
        length = runner.max_epochs if self.by_epoch else runner.max_iters
        self.warmup_epochs = min(self.warmup_epochs, round(self.max_share * length))

    def before_train_epoch(self, runner) -> None:
        """Set the temperature of the epoch."""
        if self.by_epoch:
            self._set(runner, runner.epoch)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set the temperature of the iteration."""
        if not self.by_epoch:
            self._set(runner, runner.iter)

    def _set(self, runner, step: int) -> None:
        model = unwrap_model(runner.model)
        model.set_teacher_temp(self.temp_at(step))
