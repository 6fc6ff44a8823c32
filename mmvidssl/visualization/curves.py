"""Curves of a run: read from MMEngine's scalars file, drawn as a picture."""

import bisect
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from mmengine.config import Config

from mmvidssl.utils.atomic_file import atomic_path

DUMPED = '*/vis_data/config.py'
Curve = tuple[Sequence[float], Sequence[float]]


def read_scalars(path: str | os.PathLike, step: str = 'step') -> dict[str, Curve]:
    """Read ``vis_data/scalars.json``, one JSON object a line.

    A last line without an end, as a run that was killed leaves it, is left out.

    Args:
        path: The file.
        step: The key that holds the x position.

    Returns:
        ``{name: (steps, values)}`` for every number in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not JSON; names the file and the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no scalars file {path}; MMEngine writes it while training')
    curves: dict[str, tuple[list[float], list[float]]] = {}
    lines = path.read_text(encoding='utf-8', errors='replace').split('\n')[:-1]
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f'{path}, line {number} is not JSON: {error}') from error
        for name, value in record.items():
            if step in record and name != step and isinstance(value, int | float):
                xs, ys = curves.setdefault(name, ([], []))
                xs.append(record[step])
                ys.append(value)
    return dict(curves)


def read_run(work_dir: str | os.PathLike, step: str = 'step') -> dict[str, Curve]:
    """Read the scalars of a work directory; where it was resumed, the later part wins.

    Args:
        work_dir: Of a run; each start has a folder in it, named by its time.
        step: As for :func:`read_scalars`.

    Returns:
        As :func:`read_scalars`, and ``'ln K'``, the entropy of a teacher that tells nothing apart,
        where the config has prototypes; nothing where nothing was logged.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: As :func:`read_scalars` and :func:`read_config`.
    """
    if not Path(work_dir).is_dir():
        raise FileNotFoundError(f'no such work directory: {work_dir}')
    curves: dict[str, Curve] = {}
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for name, (later_x, later_y) in read_scalars(path, step).items():
            x, y = curves.get(name, ((), ()))
            kept = bisect.bisect_left(x, later_x[0])
            curves[name] = [*x[:kept], *later_x], [*y[:kept], *later_y]
    cfg = read_config(work_dir)
    neck = (cfg.get('model') or {}).get('neck') if cfg else None
    if curves and neck and neck.get('num_prototypes'):
        ends = [at for x, _ in curves.values() for at in (x[0], x[-1])]
        curves['ln K'] = [min(ends), max(ends)], [math.log(neck.num_prototypes)] * 2
    return curves


def read_config(path: str | os.PathLike) -> Config | None:
    """The config in a file, or the last one that a run left in its work directory; None without.

    Raises:
        ValueError: If it cannot be read; names it.
    """
    path = Path(path)
    found = [path] if path.is_file() else [*path.glob('*.py'), *sorted(path.glob(DUMPED))]
    if not found:
        return None
    try:
        return Config.fromfile(found[-1])
    except Exception as error:  # whatever Python says of half a file
        raise ValueError(f'{found[-1]} is no config: {error}') from error


# Title, and the scalars that it holds; a name that ends in '*' stands for all that begin so.
PANELS = {
    'Loss': ('loss', 'loss_*', 'KL(teacher, student)', 'ln K'),
    'Entropy of the targets': ('teacher_entropy', 'teacher_batch_entropy', 'ln K'),
    'Prediction': ('explained', 'spread', 'code_*'),
    'Effective rank of the features': ('rank_*',),
    'Objects': ('mask_overlap', 'mask_coverage', 'sinkhorn_residual'),
    'Seconds per iteration': ('time', 'data_time'),
    'Learning rate': ('lr',),
    'Momentum of the teacher': ('teacher_m',),
    'Gradients and center': ('grad_norm', 'center_norm'),
}
DASHES = ('-', '--', '-.', (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)))
EVALUATIONS = 'k-NN and other evaluations'
UNDRAWN = ('base_lr', 'teacher_momentum', 'teacher_kl', 'iter', 'epoch', 'memory', 'step')


def group_curves(curves: Mapping[str, Curve]) -> dict[str, dict[str, Curve]]:
    """Sort a run's curves by what they tell.

    ``KL(teacher, student)``, the loss without the teacher's entropy, is worked out where it can be.

    Returns:
        By title (:data:`PANELS`, then a panel a prefix of what a ``MonitorHook`` evaluated, or
        :data:`EVALUATIONS` where none did); empty ones are there too.
    """
    curves = dict(curves)
    if 'teacher_entropy' in curves and 'loss' in curves:
        entropy, loss = (
            dict(zip(*curves[name], strict=True)) for name in ('teacher_entropy', 'loss')
        )
        if steps := [at for at in loss if at in entropy]:
            curves['KL(teacher, student)'] = steps, [loss[at] - entropy[at] for at in steps]
    groups = {}
    seen = set(UNDRAWN)
    for title, wanted in PANELS.items():
        names = [n for n in curves if any(fnmatchcase(n, pattern) for pattern in wanted)]
        groups[title] = {name: curves[name] for name in names if names != ['ln K']}
        seen.update(names)
    others = [name for name in curves if name not in seen]
    groups.update({} if others else {EVALUATIONS: {}})
    for name in others:
        prefix = name.rpartition('/')[0]
        title = f'Evaluation: {prefix}' if prefix else 'Others'
        groups.setdefault(title, {})[name] = curves[name]
    return groups


def plot_runs(path: str | os.PathLike, runs: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draw all curves of runs as one picture: a panel a kind, a colour a run, a dash a curve.

    Args:
        path: The picture; its suffix chooses the format.
        runs: :func:`read_run` by name.

    Raises:
        ValueError: If a run has nothing to draw, or the format is unknown.
    """
    for name, curves in runs.items():
        if not curves:
            raise ValueError(f'{name}: nothing was logged, there is no curve to draw')
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    grouped = {name: group_curves(curves) for name, curves in runs.items()}
    titles = list(dict.fromkeys(t for groups in grouped.values() for t in groups if groups[t]))
    columns = min(3, len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(5.5 * columns, 4.5 * rows), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    for number, title in enumerate(titles, start=1):
        axes = figure.add_subplot(rows, columns, number, title=title, xlabel='iteration')
        names = {n for groups in grouped.values() for n in groups.get(title, ())} - {'ln K'}
        styles = {'ln K': ':', **dict(zip(sorted(names), itertools.cycle(DASHES), strict=False))}
        for index, run in enumerate(grouped):
            for name, (x, y) in grouped[run].get(title, {}).items():
                label = name if len(runs) == 1 else f'{run}: {name}'
                color = 'black' if name == 'ln K' else f'C{index}' if len(runs) > 1 else None
                marker = '.' if len(x) < 20 and name != 'ln K' else None
                drawn = axes.plot(x, y, color=color, label=label, marker=marker, linewidth=1)
                drawn[0].set_linestyle(styles[name])
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small', loc='upper left', bbox_to_anchor=(0, -0.16), ncols=2)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def plot_curves(
    path: str | os.PathLike,
    curves: Mapping[str, Curve],
    title: str = '',
    xlabel: str = 'iteration',
    ylabel: str = 'loss',
) -> None:
    """Draw ``{name: (x, y)}`` as one picture, each curve with its name.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not curves or not all(len(x) for x, _ in curves.values()):
        raise ValueError(f'nothing to draw in {path}: every curve needs at least one point')
    # Without pyplot's global state, a caller's own figures and backend stay as they are.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel, title=title)
    for name, (x, y) in curves.items():
        axes.plot(x, y, label=name, marker='.' if len(x) < 20 else None)
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
