"""Detect a collapse of the model from the figures that ``HealthHook`` logs."""

from collections.abc import Iterator
from typing import NamedTuple

from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS

from ..utils import unwrap_model
from .health_hook import HealthHook

ACTIONS = ('warn', 'stop')


class Symptom(NamedTuple):
    """One way to collapse: whether it is seen, what is seen, and what may help."""

    name: str
    is_seen: bool
    finding: str
    advice: str


@HOOKS.register_module()
class CollapseHook(Hook):
    """Warn, or stop the run, when the figures of ``HealthHook`` show that the model collapses.

    - *uniform targets*: the teacher's entropy is within ``uniform_tol`` of its maximum ``ln K``;
    - *one prototype*: the entropy of the mean target is below ``one_prototype_tol * ln K``, so that
      all frames of a batch get the same, sharp target. (Sharp targets that differ are healthy.)
    - *one prediction*: predictions of masked tokens vary less than ``min_spread`` times as much as
      their targets, so that all tokens get the mean target.
    - *rank_teacher*, *rank_student*, *rank_tokens*: the effective rank of the features is below
      ``min_rank``, or ``rank - 1`` has fallen below ``rank_drop`` times its largest value since the
      grace period.
    - *one object*: the masks of tracked objects overlap by more than ``max_overlap``.

    Each is judged by its mean over the last measurements. It is reported once, with the iteration
    where it began, and once more when it ends. All processes see the same numbers and so stop
    together.

    Args:
        window: Number of measurements (of ``HealthHook``) to average.
        patience: Number of measurements in a row that must show a symptom.
        grace: Iterations at the beginning that are not judged, as an untrained model looks
            collapsed.
        action: ``'warn'``, or ``'stop'`` to end the run with an error as well.
        uniform_tol, one_prototype_tol: See above; shares of ``ln K``. 0 switches these and the next
            three off.
        min_rank, rank_drop, min_spread: See above. A rank of one is a complete collapse.
        max_overlap: See above; 1 switches it off.

    Raises:
        ValueError: if an argument is out of its range.

    Source: DINO, section 5.3 and figure 7, for the two ways to collapse and their entropies.
    """

    # After HealthHook.
    priority = 'NORMAL'

    def __init__(
        self,
        window: int = 10,
        patience: int = 5,
        grace: int = 1000,
        action: str = 'warn',
        uniform_tol: float = 0.01,
        one_prototype_tol: float = 0.01,
        min_rank: float = 1.1,
        rank_drop: float = 0.2,
        min_spread: float = 0.05,
        max_overlap: float = 0.98,
    ) -> None:
        if action not in ACTIONS:
            raise ValueError(f'action must be one of {ACTIONS}, got {action!r}')
        if min(window, patience) < 1 or grace < 0:
            raise ValueError(
                'CollapseHook needs window >= 1, patience >= 1 and grace >= 0, got '
                f'window={window}, patience={patience} and grace={grace}'
            )
        shares = dict(uniform_tol=uniform_tol, one_prototype_tol=one_prototype_tol)
        for name, value in dict(shares, rank_drop=rank_drop, min_spread=min_spread).items():
            if not 0 <= value < 1:
                raise ValueError(f'{name} is a share and lies in [0, 1), got {value}')
        if not 0 < max_overlap <= 1:
            raise ValueError(f'max_overlap lies in (0, 1], got {max_overlap}')
        self.window, self.patience, self.grace, self.action = window, patience, grace, action
        self.uniform_tol, self.one_prototype_tol = uniform_tol, one_prototype_tol
        self.min_rank, self.rank_drop, self.min_spread = min_rank, rank_drop, min_spread
        self.max_overlap = max_overlap
        # None of this is saved in checkpoints: a resumed run reports a lasting collapse once more.
        self._since: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._best_rank: dict[str, float] = {}

    def before_train(self, runner) -> None:
        """Check that the run has a ``HealthHook``.

        Raises:
            ValueError: if it has none.
        """
        if not any(isinstance(hook, HealthHook) for hook in runner.hooks):
            raise ValueError(
                "CollapseHook judges what HealthHook measures. Add dict(type='HealthHook') to "
                'custom_hooks, or remove CollapseHook.'
            )

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Look for symptoms of collapse, if there is a new measurement.

        Raises:
            RuntimeError: if there is a collapse and ``action='stop'``.
        """
        hub, names = runner.message_hub, unwrap_model(runner.model).health
        if runner.iter < self.grace or not names:
            return
        means = {name: hub.get_scalar(f'train/{name}').mean(self.window) for name in names}
        for symptom in self.examine(means):
            self._follow(runner, symptom)

    def examine(self, means: dict[str, float]) -> Iterator[Symptom]:
        """All symptoms, seen or not, that can be judged by the given means of health figures."""
        if 'teacher_entropy' in means:
            entropy, mean_target = means['teacher_entropy'], means['teacher_batch_entropy']
            most = entropy + means['teacher_kl']
            yield Symptom(
                'uniform targets',
                entropy > (1 - self.uniform_tol) * most,
                f'teacher_entropy is {entropy:.4f} of at most ln K = {most:.4f}, so the targets '
                'say nothing',
                'a lower teacher_temp, a smaller center_momentum, a lower learning rate, '
                "norm_last_layer=True, a larger batch, centering='sinkhorn_knopp'",
            )
            yield Symptom(
                'one prototype',
                mean_target < self.one_prototype_tol * most,
                f'teacher_batch_entropy is {mean_target:.4f} of at most ln K = {most:.4f}, so all '
                'frames get the same target',
                'a larger center_momentum, a higher teacher_temp, norm_last_layer=True, a frozen '
                'last layer for longer, a lower learning rate, a larger batch, '
                "centering='sinkhorn_knopp'",
            )
        if 'spread' in means:
            yield Symptom(
                'one prediction',
                means['spread'] < self.min_spread,
                f'the predictions vary {means["spread"]:.4f} times as much as the targets, so all '
                'masked tokens get the same',
                'a lower learning rate, a longer warm-up, a lower mask_ratio, clips with edges',
            )
        for name in filter(lambda name: name.startswith('rank_'), means):
            rank = means[name]
            best = self._best_rank[name] = max(rank, self._best_rank.get(name, 0.0))
            yield Symptom(
                name,
                rank < max(self.min_rank, 1 + self.rank_drop * (best - 1)),
                f'the effective rank of the features is {rank:.3f} (best so far {best:.3f}), so '
                'different frames look alike',
                'a lower learning rate, a longer warm-up, a smaller momentum of the teacher, '
                'less weight decay, a larger batch',
            )
        if 'mask_overlap' in means:
            yield Symptom(
                'one object',
                means['mask_overlap'] > self.max_overlap,
                f'the masks of different objects overlap by {means["mask_overlap"]:.4f}, so all '
                'objects are one',
                'tracker.use_sinkhorn=True, a smaller tracker.epsilon, fewer objects, another '
                'tracker.block',
            )

    def _follow(self, runner, symptom: Symptom) -> None:
        """Count the measurements that show a symptom, and report its beginning and its end."""
        name, now = symptom.name, runner.iter + 1
        if not symptom.is_seen:
            since = self._since.pop(name, now)
            if self._counts.pop(name, 0) >= self.patience:
                runner.logger.info(
                    f'CollapseHook: {name}, seen since iteration {since}, is over at {now}.'
                )
            return
        since = self._since.setdefault(name, now)
        self._counts[name] = self._counts.get(name, 0) + 1
        if self._counts[name] != self.patience:
            return
        message = (
            f'COLLAPSE ({name}), seen since iteration {since}, now {now}: {symptom.finding}. '
            f'Try: {symptom.advice}.'
        )
        runner.logger.warning(message)
        if self.action == 'stop':
            raise RuntimeError(f"{message} Stopped by CollapseHook's action='stop'.")
