"""How time and memory grow with the size of the work, on a CPU, beside the work itself.

- a step of DoRA (a ViT as wide and deep as DeiT-Tiny, one clip) against frames, objects, local
  views, resolution (the work is that of products, attention and convolution, counted by torch) and
  prototypes (the work is their number);
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
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from measuring import ROOT, make_parser, peak_mib, reset_peak
from mmengine.config import Config
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.utils import register_all_modules
from tools.benchmarks.decoding import make_video
from tools.benchmarks.loading_rate import measure_loading, with_videos
from tools.benchmarks.training_steps import dora_cfg, optimizer_step

# Of each axis: its label, its values, and those of --quick.
VIDEOS = (1, 10, 100, 1000, 10000)
AXES: dict[str, tuple[str, tuple, tuple]] = dict(
    frames=('frames a clip', (2, 4, 8, 16), (1, 2)),
    objects=('objects', (1, 2, 4, 6), (1, 2)),
    local_views=('local views', (0, 3, 6, 12), (0, 1)),
    size=('frames, px a side', (112, 224, 336, 448), (32, 64)),
    prototypes=('prototypes', (1024, 4096, 16384, 65536), (16, 64)),
    videos=('videos in a list', VIDEOS, (1, 30)),
    long_videos=('long videos', VIDEOS, (1, 2)),
    workers=('workers', (0, 1, 2, 4), (1, 2)),
)
STEP = dict(frames=2, objects=3, local_views=2, prototypes=4096, size=224)
SMALL = dict(STEP, local_views=0, size=64)  # for prototypes: a large ViT would hide them
# DeiT-Tiny with six heads of 32, so that up to six objects can be followed.
TINY = dict(embed_dims=192, num_layers=12, num_heads=6, feedforward_channels=768)
DATA = ROOT / 'configs/_base_/datasets'
# Torch counts attention on GPUs only.
FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
ATTENTION = {
    FLASH: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    FLASH_BACKWARD: lambda out, q, k, v, *_, **__: sdpa_backward_flop_count(out, q, k, v),
}


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--out', type=Path, default='work_dirs/scaling', help='folder of results')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads of torch')
    parser.add_argument('--steps', type=int, default=3, help='steps timed, after a first one')
    parser.add_argument('--axes', nargs='+', choices=AXES, default=list(AXES), help='what grows')
    parser.add_argument('--quick', action='store_true', help='tiny, in this process: does it run?')
    return parser.parse_args()


def dora_step(axis: str, value: int, args: Namespace) -> dict:
    """A training step of DoRA with one of its sizes changed."""
    sizes = {**(SMALL if args.quick or axis == 'prototypes' else STEP), axis: value}
    frames, size, objects = sizes['frames'], sizes['size'], sizes['objects']
    cfg = dora_cfg(
        Namespace(arch='deit-tiny', prototypes=sizes['prototypes'], kind='ours', peer=None)
    )
    layers = 2 if args.quick else TINY['num_layers']
    cfg['backbone'].update(arch=dict(TINY, num_layers=layers), img_size=size)
    cfg['tracker'].update(num_objects=objects, heads=tuple(range(objects)))
    torch.set_num_threads(args.threads)
    before = start_measuring()
    model = MODELS.build(cfg).train()
    clip = torch.randn(1, 3, frames, size, size)
    local_clips = [torch.randn(1, 3, frames, 112, 112) for _ in range(sizes['local_views'])]
    views = dict(global_clip=clip, local_clips=local_clips)
    update = optimizer_step(model, lambda: sum(model.loss(views).values()))

    def step() -> None:
        update()
        model.finish_step()
        model.update_teacher(0.004)

    seconds = statistics.median([seconds_of(step) for _ in range(args.steps + 1)][1:])
    mib = peak_mib() - before
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        step()
    # AdamW and the teacher's update of a prototype take longer than its products.
    work = value if axis == 'prototypes' else counter.get_total_flops()
    return dict(seconds=seconds, mib=mib, work=work)


def start(axis: str, value: int, file: Path) -> dict:
    """Building a data set of so many links to a file, and its first sample."""
    folder = file.with_name(f'{axis}{value}')
    folder.mkdir()
    paths = [folder / f'{number:05}{file.name}' for number in range(value)]
    for path in paths:
        path.symlink_to(file)
    if axis == 'long_videos':
        cfg = with_videos(Config.fromfile(DATA / 'walking_tours_proxy.py'), list(map(str, paths)))
    else:
        (folder / 'list.txt').write_text('\n'.join(path.name for path in paths))
        cfg = Config.fromfile(DATA / 'kinetics400_maskfeat.py')
        place = dict(ann_file='list.txt', data_root=str(folder))
        cfg.train_dataloader.dataset.update(place, data_prefix=dict(video=''))
    before = start_measuring()
    seconds = seconds_of(lambda: DATASETS.build(cfg.train_dataloader.dataset)[0])
    return dict(seconds=seconds, mib=peak_mib() - before, work=value)


def load(axis: str, value: int, file: Path, batches: int) -> dict:
    """Seconds a clip (two a batch) and the memory of all workers, or of this process without."""
    cfg = with_videos(Config.fromfile(DATA / 'walking_tours_proxy.py'), [str(file)])
    cfg.train_dataloader.batch_size = 2
    rate = measure_loading(cfg, value, batches)
    num = max(value, 1)
    mib = num * (rate.mib_per_worker or 1)
    return dict(seconds=1 / rate.clips_per_second, mib=mib, work=num)


def start_measuring() -> float:
    register_all_modules()
    reset_peak()
    return peak_mib()


def seconds_of(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def make_files(folder: Path, quick: bool) -> None:
    """Write 30 s of a small video and of a larger one, and their proxies."""
    for name, height in dict(small=144, large=144 if quick else 360).items():
        video = folder / f'{name}.mp4'
        make_video(video, height, 0.5, 6 if quick else 60)
        make_proxy(video, folder / f'{name}.proxy.mp4', ProxySettings(short_side=height))


def measurement(axis: str, args: Namespace, folder: Path) -> Callable[..., dict]:
    """What measures a value of an axis."""
    if axis == 'workers':
        return partial(load, file=folder / 'large.proxy.mp4', batches=4 if args.quick else 32)
    if axis in ('videos', 'long_videos'):
        return partial(
            start, file=folder / ('small.mp4' if axis == 'videos' else 'small.proxy.mp4')
        )
    return partial(dora_step, args=args)


def apart(call: Callable[..., dict], *args: object) -> dict:
    """Result of a call in a new process, which need not import libraries."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tools.benchmarks.scaling'])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *args).result()


def exponents(found: dict) -> dict[str, float]:
    """With which power of the work time and memory grow over the upper half of the points."""
    half = len(found['work']) // 2 if len(found['work']) > 2 else 0
    logs = {key: np.log(found[key][half:]) for key in ('work', 'seconds', 'mib')}
    return {key: float(np.polyfit(logs['work'], logs[key], 1)[0]) for key in ('seconds', 'mib')}


def draw(path: Path, results: dict[str, dict]) -> None:
    """Growth of time, memory and work from the first point on, in a panel for each axis."""
    columns = min(4, len(results))
    rows = math.ceil(len(results) / columns)
    figure = Figure(figsize=(3.1 * columns, 3.1 * rows), dpi=90, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    for number, (axis, found) in enumerate(results.items(), start=1):
        panel = figure.add_subplot(rows, columns, number, xlabel=AXES[axis][0])
        x = range(len(found['x']))
        first, last = ({key: found[key][end] for key in ('seconds', 'mib')} for end in (0, -1))
        time_label = f'time: {first["seconds"]:.2g} to {last["seconds"]:.2g} s'
        growth = np.divide(found['seconds'], first['seconds'])
        if axis == 'workers':
            time_label = f'clips/s: {1 / first["seconds"]:.1f} to {1 / last["seconds"]:.1f}'
            growth = 1 / growth
        memory_label = f'memory: {first["mib"]:.0f} to {last["mib"]:.0f} MiB'
        panel.plot(x, growth, 'C0o-', label=time_label)
        panel.plot(x, np.divide(found['mib'], first['mib']), 'C1s-', label=memory_label)
        panel.plot(x, np.divide(found['work'], found['work'][0]), 'k--', label='work')
        panel.set_xticks(x, map(str, found['x']))
        panel.set_yscale('log', base=2 if axis not in ('videos', 'long_videos') else 10)
        panel.yaxis.set_major_formatter('{x:g}')
        panel.grid(alpha=0.3)
        panel.legend(fontsize='x-small', loc='upper left')
    figure.supylabel('times what it is at the first point')
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB').quantize(48).save(path)


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ['MMVIDSSL_CACHE'] = f'{temporary}/cache'
        make_files(Path(temporary), args.quick)
        for axis in args.axes:
            label, *values = AXES[axis]
            measure = measurement(axis, args, Path(temporary))
            run = (lambda call, *at: call(*at)) if args.quick else apart
            found: dict = dict(x=values[args.quick], seconds=[], mib=[], work=[])
            for value in found['x']:
                point = run(measure, axis, value)
                point['mib'] = max(1.0, point['mib'])  # it must have a logarithm
                for key, number in point.items():
                    found[key].append(number)
                line = '{seconds:.4g} s, {mib:.0f} MiB, work {work:.4g}'.format(**point)
                print(f'{label} {value}: {line}', flush=True)
            results[axis] = dict(found, exponents=exponents(found))
            line = 'time grows as work to the power {seconds:.2f}, memory {mib:.2f}'
            print(f'{label}: {line.format(**results[axis]["exponents"])}', flush=True)
    (args.out / 'scaling.json').write_text(json.dumps(results, indent=1))
    draw(args.out / 'scaling.png', results)


if __name__ == '__main__':
    main()
