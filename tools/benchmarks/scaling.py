"""How time and memory grow with the size of the work, on a CPU, beside the work itself.

- a step of DoRA (student, teacher, tracker, AdamW; a ViT as wide and deep as DeiT-Tiny, one clip)
  against frames, objects, local views, resolution (the work is that of products, attention and
  convolution, as torch counts them) and prototypes (the work is their number);
- the start of a data set, up to its first sample, against the number of videos: of a list of short
  ones (MaskFeat's recipe), and of long ones, each of which is opened (DoRA's, on proxies);
- loading with DoRA's recipe from a proxy, against the number of workers.

Each point has a process of its own. Memory is its peak above what it had before: libraries do not
count. Writes scaling.json and scaling.png (a panel for each of them) to --out.
"""

import json
import math
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from measuring import make_parser

from tools.benchmarks import scaling_points as points

STEP = dict(frames=2, objects=3, local_views=2, prototypes=4096, size=224)
# A few layers' work beside the prototypes' would hide how these grow.
SMALL = dict(STEP, local_views=0, size=64)
VALUES = dict(
    frames=(2, 4, 8, 16),
    objects=(1, 2, 4, 6),
    local_views=(0, 3, 6, 12),
    size=(112, 224, 336, 448),
    prototypes=(1024, 4096, 16384, 65536),
    videos=(1, 10, 100, 1000, 10000),
    long_videos=(1, 10, 100, 1000, 10000),
    workers=(0, 1, 2, 4),
)
QUICK = dict(
    frames=(1, 2),
    objects=(1, 2),
    local_views=(0, 1),
    size=(32, 64),
    prototypes=(16, 64),
    videos=(1, 30),
    long_videos=(1, 2),
    workers=(1, 2),
)
LABELS = dict(
    frames='frames a clip',
    objects='objects',
    local_views='local views',
    size='frames, px a side',
    prototypes='prototypes',
    videos='videos in a list',
    long_videos='long videos',
    workers='workers',
)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        '--out', type=Path, default='work_dirs/scaling', help='folder of the result'
    )
    parser.add_argument('--threads', type=int, default=2, help='CPU threads of torch')
    parser.add_argument('--steps', type=int, default=3, help='steps timed, after a first one')
    parser.add_argument(
        '--axes', nargs='+', choices=VALUES, default=list(VALUES), help='what grows'
    )
    parser.add_argument(
        '--quick', action='store_true', help='tiny sizes, all in this process: whether it runs'
    )
    return parser.parse_args()


def calls(axis: str, values: tuple[int, ...], args, folder: Path) -> list[Callable[[], dict]]:
    """A function for each value of an axis, which measures there."""
    if axis == 'workers':
        file = points.make_files(folder, 360)
        return [partial(points.loading, n, file, 4 if args.quick else 32) for n in values]
    if axis in ('videos', 'long_videos'):
        is_list = axis == 'videos'
        start = points.start_of_list if is_list else points.start_of_long
        file = points.make_files(folder, 144).replace('.proxy' if is_list else ' ', '')
        return [partial(start, n, file, str(folder / f'{axis}{n}')) for n in values]
    base = SMALL if args.quick or axis == 'prototypes' else STEP
    return [partial(points.dora_step, **{**base, axis: n}, steps=args.steps) for n in values]


def apart(call: Callable[[], dict]) -> dict:
    """Result of a call in a new process, in which libraries are imported already."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tools.benchmarks.scaling_points'])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call).result()


def slope(x: list[float], y: list[float]) -> float:
    """Exponent of the growth of y with x, by least squares over the upper half of points."""
    half = len(x) // 2 if len(x) > 2 else 0
    logs = [(math.log(a), math.log(max(b, 1e-9))) for a, b in zip(x[half:], y[half:], strict=True)]
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    spread = sum((a - mean_x) ** 2 for a, _ in logs)
    return sum((a - mean_x) * (b - mean_y) for a, b in logs) / spread


def draw(path: Path, axes: dict[str, dict]) -> None:
    """Growth of time, memory and work from the first point on, in a panel for each axis."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    columns = min(4, len(axes))
    rows = math.ceil(len(axes) / columns)
    figure = Figure(figsize=(3.1 * columns, 3.1 * rows), dpi=90, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    for number, (axis, found) in enumerate(axes.items(), start=1):
        panel = figure.add_subplot(rows, columns, number, xlabel=LABELS[axis])
        x = range(len(found['x']))
        curves = dict(
            seconds=('C0o-', 'time: {0:.2g} to {1:.2g} s'),
            mib=('C1s-', 'memory: {0:.0f} to {1:.0f} MiB'),
            work=('k--', 'work'),
        )
        for key, (style, label) in curves.items():
            values = found[key]
            growth = [value / values[0] for value in values]
            if axis == 'workers' and key == 'seconds':
                label, growth = 'clips/s: {2:.1f} to {3:.1f}', [1 / value for value in growth]
            ends = values[0], values[-1]
            panel.plot(x, growth, style, label=label.format(*ends, *(1 / v for v in ends)))
        panel.set_xticks(x, map(str, found['x']))
        panel.set_yscale('log', base=10 if max(found['work']) > 100 * min(found['work']) else 2)
        panel.yaxis.set_major_formatter('{x:g}')
        panel.grid(alpha=0.3)
        panel.legend(fontsize='x-small', loc='upper left')
    figure.supylabel('times what it is at the first point')
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB').quantize(48).save(path)


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ['OMP_NUM_THREADS'] = str(args.threads)
    chosen = QUICK if args.quick else VALUES
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ['MMVIDSSL_CACHE'] = f'{temporary}/cache'
        for axis in args.axes:
            found = []
            for value, call in zip(
                chosen[axis], calls(axis, chosen[axis], args, Path(temporary)), strict=True
            ):
                found.append(call() if args.quick else apart(call))
                line = '{seconds:.4g} s, {mib:.0f} MiB, work {work:.4g}'.format(**found[-1])
                print(f'{LABELS[axis]} {value}: {line}', flush=True)
            if axis == 'prototypes':  # an update of each is not in FLOPs, and costs more
                found = [dict(point, work=n) for point, n in zip(found, chosen[axis], strict=True)]
            one = {key: [point[key] for point in found] for key in ('seconds', 'mib', 'work')}
            exponents = {key: slope(one['work'], one[key]) for key in ('seconds', 'mib')}
            results[axis] = dict(x=list(chosen[axis]), **one, exponents=exponents)
            print(
                '{}: time grows as work to the power {seconds:.2f}, memory {mib:.2f}'.format(
                    LABELS[axis], **exponents
                )
            )
    (args.out / 'scaling.json').write_text(json.dumps(results, indent=1))
    draw(args.out / 'scaling.png', results)


if __name__ == '__main__':
    main()
