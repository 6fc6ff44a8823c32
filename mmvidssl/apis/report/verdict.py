"""Verdicts on the curves of a run: collapsed, starved for data, still learning?"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mmvidssl.engine.hooks import CollapseHook
from mmvidssl.visualization import Curve
from mmvidssl.visualization.curves import KL, hook_options

from .run import Run

ENTROPIES = ('teacher_entropy', 'teacher_batch_entropy', 'teacher_kl')
# Curves that show learning, the best first, and the sign of an improvement.
LEARNING = {'explained': 1, KL: -1, 'loss': -1}
MIN_POINTS = 5  # in each of the two fifths that are compared
STANDARD_ERRORS = 2.0
WAITS, STARVED = 0.1, 0.3  # shares of an iteration that waits for data


class Finding(NamedTuple):
    """The answer to one question about a run."""

    level: str
    """``'good'``, ``'look'`` (a person should), ``'bad'``, or ``'unknown'``."""
    question: str
    answer: str


def judge(run: Run) -> list[Finding]:
    """Judge whether a run collapsed, waits for data, and still learns."""
    collapse, data, learning = _collapse(run), _data(run.curves), _learning(run)
    if collapse[0] == 'bad' and learning[0] == 'good':
        learning = 'look', f'{learning[1]} A collapse does that, too.'
    return [
        Finding(level, question, said)
        for question, (level, said) in (
            ('Collapsed?', collapse),
            ('Starved for data?', data),
            ('Still learning?', learning),
        )
    ]


def _collapse(run: Run) -> tuple[str, str]:
    """Judge as ``CollapseHook`` does, by its warnings and the curves that it watches."""
    if run.collapses:
        return 'bad', f'Yes. {" ".join(run.collapses)}'
    try:
        hook = CollapseHook(**hook_options(run.cfg, 'CollapseHook'))
    except (TypeError, ValueError) as error:  # options of another version
        return 'unknown', f'Not judged: {error}.'
    span = hook.window * hook_options(run.cfg, 'HealthHook').get('interval', 10)  # iterations
    names = [n for n in run.curves if n in ('spread', 'mask_overlap') or n.startswith('rank_')]
    names += ENTROPIES if set(ENTROPIES) <= set(run.curves) else ()
    if not names:
        return 'unknown', 'Not measured: HealthHook logged nothing.'
    by_step = [dict(zip(*run.curves[name], strict=True)) for name in names]
    steps = np.array(
        [at for at in by_step[0] if all(math.isfinite(v.get(at, math.nan)) for v in by_step)]
    )
    table = np.array([[values[at] for values in by_step] for at in steps])
    streaks: dict[str, int] = {}
    told = {}  # by name: when a symptom last was there long enough, and it
    judged = steps[steps > hook.grace]
    for at in judged:
        means = table[(steps > at - span) & (steps <= at)].mean(axis=0)
        for symptom in hook.examine(dict(zip(names, means.tolist(), strict=True))):
            streaks[symptom.name] = symptom.is_seen * (streaks.get(symptom.name, 0) + 1)
            if streaks[symptom.name] >= hook.patience:
                told[symptom.name] = at, symptom
    if len(judged) < hook.patience:
        return 'unknown', (
            f'Too early to say: CollapseHook judges after iteration {hook.grace}, and '
            f'{len(judged)} values were logged since.'
        )
    now = [symptom for at, symptom in told.values() if at == steps[-1]]
    if now:
        return 'bad', ' '.join(['Yes.', *(f'{s.name}: {s.finding}. Try: {s.advice}.' for s in now)])
    if told:
        past = ', '.join(f'{name} up to iteration {at}' for name, (at, _) in told.items())
        return 'look', f'Not any more, but it was: {past}.'
    return 'good', f'No sign of it in {", ".join(names)}.'


def _data(curves: Mapping[str, Curve]) -> tuple[str, str]:
    if not {'data_time', 'time'} <= set(curves):
        return 'unknown', 'Not measured: data_time and time were not logged.'
    # Medians of the second half: neither the start of workers nor rare work of hooks counts.
    waits, whole = (
        float(np.median(curves[name][1][len(curves[name][1]) // 2 :]))
        for name in ('data_time', 'time')
    )
    share = waits / max(whole, 1e-12)
    said = f'{share:.0%} of an iteration ({whole:.3g} s) waits for data'
    if share > STARVED:
        return 'bad', f'Yes: {said}. Try: more num_workers, proxies of the videos.'
    if share > WAITS:
        return 'look', f'Partly: {said}. More num_workers may help.'
    return 'good', f'No: {said}.'


def _learning(run: Run) -> tuple[str, str]:
    """Compare the last fifth of the run with the one before it."""
    name = next((name for name in LEARNING if name in run.curves), None)
    if run.nan:
        return 'bad', f'No: NaNGuardHook stopped the run; {run.nan} has the batch.'
    if name is None:
        return 'unknown', 'Not measured: no loss was logged.'
    x, y = (np.asarray(values, float) for values in run.curves[name])
    is_finite = np.isfinite(y)
    if not is_finite[-max(1, len(y) // 5) :].all():
        return 'bad', f'No: {name} is not finite at iteration {x[~is_finite][0]:.0f}.'
    y = y[is_finite]
    if len(y) < 5 * MIN_POINTS:
        return 'unknown', f'Too early to say: {len(y)} values of {5 * MIN_POINTS} that are needed.'
    first, *_, fourth, last = np.array_split(y, 5)
    said = (
        f'{name} is {first.mean():.4g} in the first fifth of the run, {fourth.mean():.4g} in the '
        f'fourth, {last.mean():.4g} in the last'
    )
    if not is_finite.all():
        at = ', '.join(f'{step:.0f}' for step in x[~is_finite][:5])
        said += f'; left out: {(~is_finite).sum()} that are not finite (iterations {at})'
    change = _compare(fourth, last) * LEARNING[name]
    if change > 0:
        return 'good', f'Yes: {said}.'
    is_moving = name != 'explained' and 'teacher_entropy' in run.curves
    if change < 0:
        word = 'rises, as it may while the teacher changes' if is_moving else 'gets worse'
        return 'look', f'It {word}: {said}.'
    if _compare(first, last) * LEARNING[name] > 0:
        return 'good', f'It has learnt, and no longer changes clearly: {said}.'
    if is_moving:  # the KL begins near 0, since teacher and student are alike
        return 'unknown', f'It no longer changes clearly: {said}.'
    return 'look', f'It does not learn: {said}.'


def _compare(before: np.ndarray, after: np.ndarray) -> int:
    """1 where the mean is clearly higher after than before, -1 lower, 0 neither."""
    change = after.mean() - before.mean()
    error = math.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
    return 0 if abs(change) <= STANDARD_ERRORS * error else 1 if change > 0 else -1
