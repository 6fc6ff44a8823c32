"""Numbers of several seeds as a table."""

import statistics
from collections.abc import Sequence

ROWS = (
    ('loss', '{:.4f}', 'squared error in masked tokens of test clips'),
    ('probe, few labels', '{:.1%}', 'linear probe of frozen features, {few} labels'),
    ('probe, many labels', '{:.1%}', 'linear probe of frozen features, {many} labels'),
    ('fine-tuning', '{:.1%}', 'fine-tuning all weights, {few} labels'),
    ('processor time', '{:.0f} s', 'processor time, all threads together'),
    ('wall clock', '{:.0f} s', 'wall clock'),
)


def summarize(runs: Sequence[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (of a sample; 0 for one) of each number over seeds."""
    summary = {}
    for key in runs[0]:
        values = [run[key] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        summary[key] = (statistics.fmean(values), spread)
    return summary


def format_table(runs: Sequence[dict[str, float]], sizes: dict) -> str:
    """All seeds side by side, then mean and standard deviation."""
    summary = summarize(runs)
    lines = []
    for group, style, title in ROWS:
        lines.append(title.format(**sizes))
        for key in (key for key in summary if key.startswith(f'{group}/')):
            is_setting = key.endswith(', lr')
            cells = [('{:g}' if is_setting else style).format(run[key]) for run in runs]
            mean, spread = (style.format(value) for value in summary[key])
            end = '' if is_setting else f'  mean {mean} +- {spread}'
            lines.append(f'  {key.partition("/")[2]:24}' + ''.join(f'{c:>10}' for c in cells) + end)
    return '\n'.join(lines)
