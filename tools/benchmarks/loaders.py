"""Clips a second on one core: DoRA's and MaskFeat's training data, ours beside the released loader.

Decoding, sampling and all views, without workers, in processes that take turns. --peer is a
checkout of shashankvkt/DoRA_ICLR24 (needs decord, einops) or facebookresearch/SlowFast (fvcore,
iopath, simplejson, psutil, pandas, and pytorchvideo's main branch); without it, ours alone runs.

All read the same generated file. For DoRA, it is the proxy (720 px, 4 frames a second) of a minute
of 1280 x 720 at 60; for MaskFeat, that (256 px, 7.5 a second, the distance of a clip's frames) of
10 s of 640 x 360 at 30. Ours ends in bytes, which the device normalises, theirs in normalised
numbers; so does 'ours, normalised'.
"""

import argparse
import importlib.util
import io
import json
import math
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import torch
import torchvision
from measuring import ROOT, call_again, make_parser, median_ratio
from mmcv.transforms import BaseTransform
from mmengine.config import Config

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets.transforms import flat_collate
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.utils import register_all_modules
from tools.benchmarks.decoding import make_video
from tools.benchmarks.loading_rate import with_videos

CONFIGS = dict(
    dora='configs/dora/dora_vit-small-p16_8xb16-amp-coslr-1500e_wt-venice-proxy.py',
    maskfeat='configs/maskfeat/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
)
RECIPE = 'configs/masked_ssl/k400_MVITv2_S_16x4_MaskFeat_PT.yaml'  # in PySlowFast's checkout
KINDS = ('ours', 'ours, normalised', 'released')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('method', choices=CONFIGS, help='whose data')
    parser.add_argument('--peer', type=Path, help='checkout of the released code')
    parser.add_argument('--video', action='store_true', help='read the video, not its proxy')
    parser.add_argument('--clips', type=int, default=24, help='clips a run, after two first ones')
    parser.add_argument('--rounds', type=int, default=5, help='runs of each kind, taken in turn')
    parser.add_argument('--need', type=float, help='clips a second: print how many cores load them')
    parser.add_argument('--profile', action='store_true', help='print what our time goes to, too')
    parser.add_argument('--work-dir', type=Path, default='work_dirs/loaders', help='for the files')
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_files(method: str, folder: Path, wants_video: bool) -> Path:
    """Write the video, its proxy and links to one of them; returns the folder of the links.

    MaskFeat opens a video for each clip: a single one would stay open. Its list is ``train.csv``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    video, proxy = folder / 'a.mp4', folder / 'a.proxy.mp4'
    if not video.exists():
        make_video(video, *((720, 1, 60) if method == 'dora' else (360, 1 / 6, 30)))
    if not proxy.exists():
        make_proxy(video, proxy, ProxySettings(*((720, 4) if method == 'dora' else (256, 7.5))))
    file = (video if wants_video else proxy).absolute()
    links = file.with_name('video' if wants_video else 'proxy')
    if not (links / 'train.csv').exists():  # written last
        links.mkdir(exist_ok=True)
        names = [links / f'{n:02}{file.name}' for n in range(1 if method == 'dora' else 64)]
        for name in names:
            name.unlink(missing_ok=True)
            name.symlink_to(file)
        (links / 'train.csv').write_text('\n'.join(f'{name} 0' for name in names))
    return links


def ours(method: str, links: Path, normalised: bool) -> Callable[[int], Any]:
    """The shipped config's data set, with its videos replaced."""
    register_all_modules()
    cfg = Config.fromfile(ROOT / CONFIGS[method])
    if method == 'dora':
        cfg = with_videos(cfg, [str(path) for path in links.glob('*.mp4')])
    else:
        place = dict(ann_file=str(links / 'train.csv'), data_root='')
        cfg.train_dataloader.dataset.update(place, data_prefix=dict(video=''))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    preprocess = MODELS.build(cfg.model.data_preprocessor)

    def load(number: int) -> object:
        sample = dataset[number % len(dataset)]
        return preprocess(flat_collate([sample])) if normalised else sample

    return load


def released(method: str, links: Path, peer: Path) -> Callable[[int], Any]:
    """The authors' loader with the settings that they give."""
    if method == 'dora':
        main, loader = import_from(peer, 'main', 'WTDataloader')
        augment = main.DataAugmentationDINO((0.4, 1.0), (0.05, 0.4), 6)
        second = dict(proxy=4, video=60)[links.name]
        dataset = loader.WT_dataset_1vid(str(next(links.glob('*.mp4'))), 8, second, augment)
    else:
        if not importlib.util.find_spec('detectron2'):  # imported, but not for loading
            stub: Any = ModuleType('detectron2.layers')
            stub.ROIAlign = torchvision.ops.RoIAlign
            sys.modules.update({'detectron2': ModuleType('detectron2'), stub.__name__: stub})
        if not hasattr(torchvision.io, '_read_video_from_memory'):  # torchvision removed it, and
            # PySlowFast's other backend, PyAV, fails there: it subtracts a number from a list.
            torchvision.io._probe_video_from_memory = probe_video
            torchvision.io._read_video_from_memory = read_video
        names = ('slowfast.config.defaults', 'slowfast.datasets.kinetics')
        defaults, kinetics = import_from(peer, *names)
        cfg = defaults.get_cfg()
        cfg.merge_from_file(str(peer / RECIPE))
        cfg.DATA.PATH_TO_DATA_DIR = str(links)
        dataset = kinetics.Kinetics(cfg, 'train')
    return lambda number: dataset[number % len(dataset)]


def import_from(checkout: Path, *names: str) -> list[ModuleType]:
    """Modules of a checkout; names those that are missing, there or here."""
    sys.path.insert(0, str(checkout))
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise SystemExit(f'the code in --peer {checkout} cannot be imported: {error}') from error


def probe_video(video: torch.Tensor) -> SimpleNamespace:
    """What torchvision told of a video in memory, uint8 ``(bytes,)``; without sound."""
    with av.open(io.BytesIO(video.numpy())) as container:
        stream = container.streams.video[0]
        unit, fps = stream.time_base, float(stream.average_rate)
        seen = dict(has_video=True, video_fps=fps, video_duration=float(stream.duration * unit))
        heard = dict(has_audio=False, audio_duration=0.0, audio_sample_rate=0.0)
        return SimpleNamespace(video_timebase=unit, audio_timebase=unit, **seen, **heard)


def read_video(
    video: torch.Tensor, video_pts_range: tuple[int, int], video_min_dimension: int, **_: Any
) -> tuple[torch.Tensor, None]:
    """Frames from one time to another (-1: all), shrunk to a shorter side; ``(T, H, W, 3)``."""
    first, last = video_pts_range
    with av.open(io.BytesIO(video.numpy())) as container:
        stream = container.streams.video[0]
        container.seek(max(0, first - int(1 / stream.time_base)), stream=stream)
        scale = video_min_dimension / min(stream.height, stream.width) or 1
        size = dict(width=int(stream.width * scale), height=int(stream.height * scale))
        frames = []
        for frame in container.decode(stream):
            if frame.pts > last >= 0:
                break
            if frame.pts >= first:
                rgb = frame.reformat(format='rgb24', interpolation='FAST_BILINEAR', **size)
                frames.append(rgb.to_ndarray())
    return torch.from_numpy(np.stack(frames)), None


def measure(args: argparse.Namespace, links: Path) -> float:
    """Clips a second of one kind, in this process."""
    if args.kind == 'released':
        load = released(args.method, links, args.peer)
    else:
        load = ours(args.method, links, args.kind != 'ours')
    numbers = random.Random(0).sample(range(10**6), 2 + args.clips)
    load(numbers[0]), load(numbers[1])
    spent = time_transforms() if args.profile else Counter()
    started = time.perf_counter()
    for number in numbers[2:]:
        load(number)
    seconds = time.perf_counter() - started
    for name, own in spent.most_common():
        print(f'{args.kind}: {own / seconds:4.0%} {name}', file=sys.stderr)
    return args.clips / seconds


def time_transforms() -> Counter:
    """From now on, seconds spent by each class of transforms, without those inside it."""
    spent: Counter = Counter()
    call = BaseTransform.__call__

    def timed(self: BaseTransform, results: dict) -> Any:
        started, inner = time.perf_counter(), spent.total()
        results = call(self, results)
        spent[type(self).__name__] += time.perf_counter() - started - (spent.total() - inner)
        return results

    BaseTransform.__call__ = timed
    return spent


def main() -> None:
    args = parse_args()
    links = make_files(args.method, args.work_dir / args.method, args.video)
    if args.kind:
        if hasattr(os, 'sched_setaffinity'):  # not on macOS
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        with redirect_stdout(sys.stderr):  # the released code prints
            rate = measure(args, links)
        print(json.dumps(rate))
        return
    runs: dict[str, list[float]] = {kind: [] for kind in KINDS[: 3 if args.peer else 2]}
    for kind, rates in list(runs.items()) * args.rounds:
        rates.append(call_again('--kind', kind))
    for kind, rates in runs.items():
        middle = statistics.median(rates)
        line = f'{args.method}, {kind}: {middle:.2f} clips/s a core'
        line += f' ({min(rates):.2f} to {max(rates):.2f})'
        if args.peer and kind != 'released':
            line += f', {median_ratio(rates, runs["released"]):.2f} times the released rate'
        if args.need:
            line += f'; {math.ceil(args.need / middle)} core(s) for {args.need:g} clips/s'
        print(line)


if __name__ == '__main__':
    main()
