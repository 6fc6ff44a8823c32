"""What is there so far as a table and a picture."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmvidssl.utils.atomic_file import atomic_path

from .protocols import Protocol

RANDOM = 'random'


def training_folder(out: Path, seed: int, method: str, budget: float) -> Path:
    """Of a run; random weights have the budget 0."""
    return out / f'seed{seed}' / f'{method}_{budget:g}min'


def write_report(out: Path, protocols: Mapping[str, Protocol]) -> str:
    """Write ``evidence.json``, ``.md`` and ``.png`` of all that is evaluated; return the table."""
    rows = collect(out, protocols)
    table = format_table(rows, protocols)
    for name, text in (('json', json.dumps(rows, indent=1)), ('md', table)):
        with atomic_path(out / f'evidence.{name}') as temporary:
            temporary.write_text(text + '\n')
    if rows and protocols:
        draw(out / 'evidence.png', rows, protocols)
    return table


def collect(out: Path, protocols: Mapping[str, Protocol]) -> list[dict]:
    """A row a method and budget, ``values`` by column: of each seed, mean and deviation.

    Seeds that are not evaluated by every protocol are left out.
    """
    runs: dict[tuple[float, str], dict[int, dict[str, float]]] = defaultdict(dict)
    for folder in out.glob('seed*/*_*min'):
        files = {protocols[name].name: folder / f'{name}.json' for name in protocols}
        if not all(file.exists() for file in files.values()):
            continue
        method, _, budget = folder.name.removesuffix('min').rpartition('_')
        numbers = {name: json.loads(file.read_text())['value'] for name, file in files.items()}
        training = folder / 'training.json'
        numbers |= json.loads(training.read_text()) if training.exists() else {}
        runs[float(budget), method][int(folder.parent.name.removeprefix('seed'))] = numbers
    return [
        dict(method=method, budget=budget, seeds=sorted(by_seed), values=_summarize(by_seed))
        for (budget, method), by_seed in sorted(runs.items())
    ]


def _summarize(by_seed: dict[int, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Deviations are those of a sample; of one seed there is none."""
    summary = {}
    for name in next(iter(by_seed.values())):
        values = [by_seed[seed][name] for seed in sorted(by_seed)]
        known = [value for value in values if value is not None]
        summary[name] = dict(
            of_seeds=values,
            mean=statistics.fmean(known) if known else None,
            deviation=statistics.stdev(known) if len(known) > 1 else None,
        )
    return summary


def format_table(rows: list[dict], protocols: Mapping[str, Protocol]) -> str:
    """Markdown."""
    columns = {p.name: '.1f' for p in protocols.values()} | dict(iterations='.0f', minutes='.1f')
    lines = ['| method | budget (min) | ' + ' | '.join(columns) + ' | seeds |']
    lines.append('|---' * (len(columns) + 3) + '|')
    for row in rows:
        cells = [row['method'], f'{row["budget"]:g}']
        for name, style in columns.items():
            value = row['values'].get(name, {})
            mean, spread = value.get('mean'), value.get('deviation')
            cell = '' if mean is None else format(mean, style)
            is_metric = style == '.1f' and name != 'minutes'
            cells.append(f'{cell} ± {spread:.1f}' if is_metric and spread is not None else cell)
        lines.append('| ' + ' | '.join([*cells, ', '.join(map(str, row['seeds']))]) + ' |')
    return '\n'.join(lines)


def draw(path: Path, rows: list[dict], protocols: Mapping[str, Protocol]) -> None:
    """Each metric against the budget, with deviations as bars; random weights as a level."""
    # Without pyplot's global state, see mmvidssl.visualization.plot_curves.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(protocols), 3.5), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(protocols), squeeze=False)[0]
    for axes, protocol in zip(all_axes, protocols.values(), strict=True):
        axes.set(title=f'{protocol.name} (%)', xlabel='minutes of a processor')
        for method in sorted({row['method'] for row in rows}):
            own = [row for row in rows if row['method'] == method]
            values = [row['values'][protocol.name] for row in own]
            means = [value['mean'] for value in values]
            spreads = [value['deviation'] or 0.0 for value in values]
            if method == RANDOM:
                axes.axhline(means[0], color='grey', label=method)
                axes.axhspan(means[0] - spreads[0], means[0] + spreads[0], color='grey', alpha=0.2)
            else:
                budgets = [row['budget'] for row in own]
                axes.errorbar(budgets, means, spreads, marker='.', capsize=4, label=method)
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
