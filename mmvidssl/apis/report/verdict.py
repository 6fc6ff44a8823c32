"""What the curves of a run say, in words."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from mmengine.config import Config

from mmvidssl.engine.hooks import CollapseHook
from mmvidssl.engine.hooks.collapse_hook import Symptom
from mmvidssl.visualization import group_curves
from mmvidssl.visualization.curves import Curve

HEALTH = ('teacher_entropy', 'teacher_batch_entropy', 'teacher_kl', 'spread', 'mask_overlap')
LEARNING = (('explained', 1), ('KL(teacher, student)', -1), ('loss', -1))  # 1: up is better
MIN_POINTS = 5  # in each of the two fifths that are compared
STANDARD_ERRORS = 2.0
WAITS, STARVED = 0.1, 0.5  # shares of an iteration


class Finding(NamedTuple):
    """One answer."""

    level: str
    """``'good'``, ``'look'`` (a person should), ``'bad'``, or ``'unknown'``."""
    question: str
    answer: str


def judge(curves: Mapping[str, Curve], cfg: Config | None = None) -> list[Finding]:
    """Whether a run collapsed, waits for data, and still learns.

    Args:
        curves: Of :func:`~mmvidssl.visualization.read_run`.
        cfg: Its config, whose ``CollapseHook``'s thresholds count; the defaults without one.
    """
    return [_collapse(curves, cfg), _data(curves), _learning(curves)]


def collapse_hook(cfg: Config | None) -> CollapseHook:
    """That of the config, else with its defaults."""
    for hook in (cfg.get('custom_hooks') if cfg else None) or []:
        if str(hook.get('type')).rpartition('.')[2] == 'CollapseHook':
            return CollapseHook(**{k: v for k, v in hook.items() if k not in ('type', 'priority')})
    return CollapseHook()


def _collapse(curves: Mapping[str, Curve], cfg: Config | None) -> Finding:
    """As ``CollapseHook`` does, from what was logged of what it saw."""
    question, hook = 'Collapsed?', collapse_hook(cfg)
    names = [n for n in curves if n in HEALTH or n.startswith('rank_')]
    if not set(HEALTH[:3]) <= set(names):
        names = [n for n in names if n not in HEALTH[:3]]
    if not names:
        return Finding('unknown', question, 'Not measured: HealthHook logged nothing.')
    by_step = [dict(zip(*curves[name], strict=True)) for name in names]
    steps = [at for at in by_step[0] if all(at in values for values in by_step)]
    table = np.array([[values[at] for values in by_step] for at in steps])
    streaks: dict[str, int] = {}
    told: dict[str, tuple[float, Symptom]] = {}  # when it was last there for long enough
    judged = [row for row, at in enumerate(steps) if at > hook.grace]
    for row in judged:
        means = table[max(0, row + 1 - hook.window) : row + 1].mean(axis=0)
        for symptom in hook.examine(dict(zip(names, means.tolist(), strict=True))):
            streaks[symptom.name] = symptom.is_seen * (streaks.get(symptom.name, 0) + 1)
            if streaks[symptom.name] >= hook.patience:
                told[symptom.name] = steps[row], symptom
    if len(judged) < hook.patience:
        return Finding(
            'unknown',
            question,
            f'Too early to say: CollapseHook judges after iteration {hook.grace}, and '
            f'{len(judged)} values were logged since.',
        )
    now = [symptom for at, symptom in told.values() if at == steps[-1]]
    if now:
        said = (f'{s.name}: {s.finding}. Try: {s.advice}.' for s in now)
        return Finding('bad', question, 'Yes. ' + ' '.join(said))
    if told:
        past = ', '.join(f'{name} up to iteration {at}' for name, (at, _) in told.items())
        return Finding('look', question, f'Not any more, but it was: {past}.')
    return Finding('good', question, f'No sign of it in {", ".join(names)}.')


def _data(curves: Mapping[str, Curve]) -> Finding:
    question = 'Starved for data?'
    if not {'data_time', 'time'} <= set(curves):
        return Finding('unknown', question, 'Not measured: data_time and time were not logged.')
    waits, whole = (curves[name][1] for name in ('data_time', 'time'))
    half = len(whole) // 2  # the first iterations start the workers
    share = float(np.mean(waits[half:])) / max(float(np.mean(whole[half:])), 1e-12)
    said = f'{share:.0%} of an iteration ({np.mean(whole[half:]):.3g} s) waits for data'
    if share > STARVED:
        return Finding(
            'bad', question, f'Yes: {said}. Try: more num_workers, proxies of the videos.'
        )
    if share > WAITS:
        return Finding('look', question, f'A little: {said}. More num_workers may help.')
    return Finding('good', question, f'No: {said}.')


def _learning(curves: Mapping[str, Curve]) -> Finding:
    """Compare the last fifth of the run with the one before it."""
    question = 'Still learning?'
    curves = {**curves, **group_curves(curves)['Loss']}
    loss = curves.get('loss', ([], []))
    if not len(loss[0]):
        return Finding('unknown', question, 'Not measured: no loss was logged.')
    for at, value in zip(*loss, strict=True):
        if not math.isfinite(value):
            return Finding('bad', question, f'No: the loss is {value} at iteration {at}.')
    if len(loss[0]) < 5 * MIN_POINTS:
        said = f'Too early to say: {len(loss[0])} values of the loss, {5 * MIN_POINTS} are needed.'
        return Finding('unknown', question, said)
    words: dict[int, list[str]] = {1: [], 0: [], -1: []}
    has_learnt = False
    for name, sign in LEARNING:
        y = sign * np.asarray(curves.get(name, ((), ()))[1], float)
        fifths = np.array_split(y, 5)
        if len(y) < 5 * MIN_POINTS:
            continue
        has_learnt = has_learnt or _compare(fifths[0], fifths[-1]) > 0
        before, after = (sign * fifth.mean() for fifth in fifths[-2:])
        words[_compare(*fifths[-2:])].append(f'{name} went from {before:.4g} to {after:.4g}')
    since = 'in the last fifth of the run'
    if words[1]:
        return Finding('good', question, f'Yes: {"; ".join(words[1])} {since}.')
    if words[-1]:
        return Finding('look', question, f'It gets worse: {"; ".join(words[-1])} {since}.')
    said = f'{"; ".join(words[0])} {since}.'
    if has_learnt:
        return Finding('good', question, f'It has learnt, and has levelled off: {said}')
    return Finding('look', question, f'It does not learn, nor did it since the first fifth: {said}')


def _compare(before: np.ndarray, after: np.ndarray) -> int:
    """1 where the mean is clearly higher after than before, -1 lower, 0 neither."""
    change = after.mean() - before.mean()
    error = math.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
    return 0 if abs(change) <= STANDARD_ERRORS * error else 1 if change > 0 else -1
