"""Curves of a run: read from MMEngine's scalars file, drawn as a picture."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmvidssl.utils.atomic_file import atomic_path

Curve = tuple[Sequence[float], Sequence[float]]


def read_scalars(path: str | os.PathLike, step: str = 'step') -> dict[str, Curve]:
    """Read ``vis_data/scalars.json``, one JSON object a line.

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
    for number, line in enumerate(path.read_text().splitlines(), start=1):
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
