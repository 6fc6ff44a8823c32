"""Curves of a run: read from MMEngine's scalars file, drawn as a picture."""

import bisect
import itertools
import json
import math
import os
from collections.abc import Container, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from mmengine.config import Config

from mmvidssl.utils.atomic_file import atomic_path

DUMPED = '*/vis_data/config.py'
KL = 'KL(teacher, student)'
Curve = tuple[Sequence[float], Sequence[float]]


def read_scalars(*paths: str | os.PathLike) -> dict[str, Curve]:
    """Read the curves of a run from the ``vis_data/scalars.json`` of each of its starts, in order.

    A start that resumes at an earlier iteration replaces what was logged from there on. Values of
    validation, whose step may be the epoch, are placed at the last iteration of training, as
    ``val/<name>``, without times. An incomplete last line, of a killed run, is left out.

    Returns:
        ``{name: (iterations, values)}`` for every number in the files.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not JSON; names the file and the line.
    """
    curves: dict[str, tuple[list[float], list[float]]] = {}
    now = 0.0
    for path in map(Path, paths):
        if not path.is_file():
            raise FileNotFoundError(f'no scalars file {path}; MMEngine writes it while training')
        lines = path.read_text(encoding='utf-8', errors='replace').split('\n')[:-1]
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f'{path}, line {number} is not JSON: {error}') from error
            if (step := record.pop('step', None)) is None:
                continue
            is_training = 'iter' in record  # which MMEngine writes in training only
            if is_training:
                for x, y in curves.values() if step <= now else ():
                    kept = bisect.bisect_left(x, step)
                    del x[kept:], y[kept:]
                now = step
            for name, value in record.items():
                is_kept = is_training or name not in ('time', 'data_time')
                if is_kept and isinstance(value, int | float):
                    xs, ys = curves.setdefault(name if is_training else f'val/{name}', ([], []))
                    xs.append(now)
                    ys.append(value)
    return {name: curve for name, curve in curves.items() if curve[0]}


def read_run(work_dir: str | os.PathLike) -> dict[str, Curve]:
    """Read the curves of a work directory, and add those that follow from its config.

    Args:
        work_dir: Work directory of a run, with a folder for each start.

    Returns:
        As :func:`read_scalars`; also ``'ln K'``, the largest entropy that a teacher can have, if
        the config has prototypes, and :data:`KL`, the loss minus the teacher's entropy, if that is
        the divergence. Empty if nothing was logged.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: As :func:`read_scalars` and :func:`read_config`.
    """
    if not Path(work_dir).is_dir():
        raise FileNotFoundError(f'no such work directory: {work_dir}')
    curves = read_scalars(*sorted(Path(work_dir).glob('*/vis_data/scalars.json')))
    cfg = read_config(work_dir)
    neck = (cfg.get('model') or {}).get('neck') if cfg else None
    if cfg and curves and neck and neck.get('num_prototypes'):
        ends = [at for x, _ in curves.values() for at in (x[0], x[-1])]
        curves['ln K'] = [min(ends), max(ends)], [math.log(neck.num_prototypes)] * 2
        if {'loss', 'teacher_entropy'} <= set(curves) and _has_kl(cfg, curves):
            loss, entropy = (
                dict(zip(*curves[name], strict=True)) for name in ('loss', 'teacher_entropy')
            )
            steps = [at for at in loss if at in entropy]
            curves[KL] = steps, [loss[at] - entropy[at] for at in steps]
    return curves


def _has_kl(cfg: Config, names: Container[str]) -> bool:
    """Whether loss minus entropy is a divergence: weights sum to 1, both average the same steps.

    Of the heads, DINO's is a mean; DoRA's has weights, which the released code's preset changes.
    """
    head = cfg.model.get('head') or {}
    is_official = head.get('carry_over') or cfg.model.get('preset') == 'official'
    weights = [
        head.get(f'{part}_weight', 0.5) for part in ('object', 'local') if f'loss_{part}' in names
    ]
    if str(head.get('type')).endswith('DoRAHead') and (
        is_official or not math.isclose(sum(weights), 1)
    ):
        return False
    log = cfg.get('log_processor') or {}
    windows = [
        c.get('window_size')
        for c in log.get('custom_cfg') or []
        if (c.data_src, c.method_name) == ('teacher_entropy', 'mean')
    ]
    passes = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    interval = -(-hook_options(cfg, 'HealthHook').get('interval', 10) // passes) * passes
    return [log.get('window_size', 10)] == [w * interval for w in windows if isinstance(w, int)]


def hook_options(cfg: Config | None, name: str) -> dict:
    """Arguments of the hook ``name`` in a config; empty if it has none."""
    for hook in (cfg.get('custom_hooks') if cfg else None) or []:
        if str(hook.get('type')).rpartition('.')[2] == name:
            return {k: v for k, v in hook.items() if k not in ('type', 'priority', '_scope_')}
    return {}


def read_config(path: str | os.PathLike) -> Config | None:
    """Config in a file, or the last one in the work directory of a run; None if there is none.

    Raises:
        ValueError: If it cannot be read; names it.
    """
    path = Path(path)
    found = [path] if path.is_file() else [*path.glob('*.py'), *sorted(path.glob(DUMPED))]
    if not found:
        return None
    try:
        return Config.fromfile(found[-1])
    except Exception as error:  # an incomplete file may raise anything
        raise ValueError(f'{found[-1]} is no config: {error}') from error


# Title of each panel, and its scalars; '*' stands for the rest of a name.
PANELS = {
    'Loss': ('loss', 'loss_*', KL, 'ln K'),
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
    """Group a run's curves into panels.

    Returns:
        Curves by title of the panel: :data:`PANELS`, empty ones too; then one for each prefix of
        the other curves, such as a ``MonitorHook``'s (or an empty :data:`EVALUATIONS`).
    """
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
    """Draw the curves of runs as one picture: a panel per kind, a colour per run.

    Args:
        path: The picture; its suffix chooses the format.
        runs: Curves of each run (:func:`read_run`) by its name.

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
