"""Clips a second on one core: DoRA's and MaskFeat's training data, ours beside the released loader.

Decoding, sampling and all views, without workers, in processes kept to one core that take turns.
--peer is a checkout of github.com/shashankvkt/DoRA_ICLR24 (needs decord, einops) or of
github.com/facebookresearch/SlowFast (fvcore, iopath, simplejson, psutil, pandas, and pytorchvideo's
main branch); nothing of them is in this package. Without it, ours alone is timed.

All read the same generated files: a video of a minute in 1280 x 720 with 60 frames a second, and
its proxy (720 px, 4 a second); for MaskFeat one of 10 s in 640 x 360 with 30, and its proxy (256
px, 7.5 a second, which is the distance of a clip's frames). Ours ends in bytes, which are
normalised on the device, theirs in normalised numbers; 'ours, normalised' does that on the core.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from measuring import ROOT, call_again, make_parser, median_ratio

CONFIGS = dict(
    dora='configs/dora/dora_vit-small-p16_8xb16-amp-coslr-1500e_wt-venice-proxy.py',
    maskfeat='configs/maskfeat/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
)
KINDS = ('ours', 'ours, normalised', 'released')
FILES = ('proxy', 'video')


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('method', choices=CONFIGS, help='whose data')
    parser.add_argument('--peer', type=Path, help='checkout of the released code')
    parser.add_argument(
        '--files',
        nargs='+',
        choices=FILES,
        default=FILES,
        help='what to read: proxy, video or both',
    )
    parser.add_argument('--clips', type=int, default=24, help='clips a run, after two first ones')
    parser.add_argument('--rounds', type=int, default=5, help='runs of each kind, taken in turn')
    parser.add_argument(
        '--need', type=float, metavar='CLIPS_PER_S', help='print how many cores load so many'
    )
    parser.add_argument('--profile', action='store_true', help='also print what our time goes to')
    parser.add_argument(
        '--work-dir', type=Path, default='work_dirs/loaders', help='folder of files'
    )
    parser.add_argument('--kind', choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


class Material:
    """The generated files of a method: ``video`` and ``proxy``, and many links to each."""

    LINKS = 64  # a reader that is still open would hide what opening a video costs

    def __init__(self, method: str, work_dir: Path) -> None:
        self.folder = work_dir / method
        self.is_dora = method == 'dora'
        self.fps = dict(video=60, proxy=4) if self.is_dora else dict(video=30, proxy=7.5)

    def path(self, kind: str) -> Path:
        return self.folder / f'a.{"" if kind == "video" else "proxy."}mp4'

    def links(self, kind: str) -> Path:
        """A folder of links, in a list that both loaders read."""
        return self.folder / kind

    def make(self) -> None:
        from mmvidssl.apis import ProxySettings, make_proxy
        from tools.benchmarks.decoding import make_video

        self.folder.mkdir(parents=True, exist_ok=True)
        video, proxy = map(self.path, ('video', 'proxy'))
        height, minutes, short_side = (720, 1, 720) if self.is_dora else (360, 1 / 6, 256)
        if not video.exists():
            make_video(video, height, minutes, self.fps['video'])
        if not proxy.exists():
            make_proxy(video, proxy, ProxySettings(short_side=short_side, fps=self.fps['proxy']))
        for path, folder in ((video, self.links('video')), (proxy, self.links('proxy'))):
            folder.mkdir(exist_ok=True)
            names = [f'{n:02}{path.name}' for n in range(self.LINKS)]
            for name in names:
                if not (folder / name).is_symlink():
                    (folder / name).symlink_to(path.resolve())
            lines = [f'{(folder / name).absolute()} 0' for name in names]
            (folder / 'train.csv').write_text('\n'.join(lines))


def ours(method: str, material: Material, kind: str, normalised: bool) -> Callable[[int], Any]:
    """The shipped config's data set, with its videos replaced."""
    from mmengine.config import Config

    from mmvidssl.datasets.transforms import flat_collate
    from mmvidssl.registry import DATASETS, MODELS
    from mmvidssl.utils import register_all_modules
    from tools.benchmarks.loading_rate import with_videos

    register_all_modules()
    cfg = Config.fromfile(ROOT / CONFIGS[method])
    if method == 'dora':
        cfg = with_videos(cfg, [str(material.path(kind))])
    else:
        folder = material.links(kind).absolute()
        cfg.train_dataloader.dataset.update(
            ann_file=str(folder / 'train.csv'), data_root='', data_prefix=dict(video='')
        )
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    preprocess = MODELS.build(cfg.model.data_preprocessor)

    def load(number: int) -> object:
        # Far from the last one, as samples are when they are shuffled.
        sample = dataset[number * 7919 % len(dataset)]
        return preprocess(flat_collate([sample])) if normalised else sample

    return load


def released(method: str, peer: Path, material: Material, kind: str) -> Callable[[int], Any]:
    from tools.benchmarks import released_loaders

    if method == 'dora':
        return released_loaders.dora(peer, str(material.path(kind)), round(material.fps[kind]))
    load = released_loaders.maskfeat(peer, str(material.links(kind)))
    return lambda number: load(number * 7919 % material.LINKS)


def measure(args: argparse.Namespace) -> dict:
    """Clips a second of one kind, here, for each sort of file; with a profile, shares of time."""
    material = Material(args.method, args.work_dir)
    result = {}
    for kind in args.files:
        if args.kind == 'released':
            load = released(args.method, args.peer, material, kind)
        else:
            load = ours(args.method, material, kind, args.kind != 'ours')
        load(0), load(1)
        spent = time_transforms() if args.profile else Counter()
        started = time.perf_counter()
        for number in range(args.clips):
            load(2 + number)
        seconds = time.perf_counter() - started
        result[kind] = args.clips / seconds
        for name, own in spent.most_common():
            print(f'{args.kind}, {kind}: {own / seconds:4.0%} {name}', file=sys.stderr)
    return result


def keep_to_one_core() -> None:
    import cv2
    import torch

    if hasattr(os, 'sched_setaffinity'):  # not on macOS
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def time_transforms() -> Counter:
    """From now on, seconds spent by each class of transforms, without those inside it."""
    from mmcv.transforms import BaseTransform

    spent: Counter = Counter()
    call = BaseTransform.__call__

    def timed(self: BaseTransform, results: dict) -> Any:
        started, inner = time.perf_counter(), spent.total()
        try:
            return call(self, results)
        finally:
            spent[type(self).__name__] += time.perf_counter() - started - (spent.total() - inner)

    BaseTransform.__call__ = timed
    return spent


def main() -> None:
    args = parse_args()
    if args.kind:
        keep_to_one_core()
        with redirect_stdout(sys.stderr):  # the released code prints
            result = measure(args)
        print(json.dumps(result))
        return
    Material(args.method, args.work_dir).make()
    kinds = KINDS if args.peer else KINDS[:2]
    runs: dict[str, list[dict]] = {kind: [] for kind in kinds}
    for _ in range(args.rounds):
        for kind, results in runs.items():
            try:
                results.append(call_again('--kind', kind))
            except subprocess.CalledProcessError:
                raise SystemExit(f'{kind} failed, see above') from None
    for file in args.files:
        rates = {kind: [run[file] for run in results] for kind, results in runs.items()}
        for kind, values in rates.items():
            middle = statistics.median(values)
            line = f'{args.method}, {file}, {kind}: {middle:.2f} clips/s a core'
            line += f' ({min(values):.2f} to {max(values):.2f})'
            if 'released' in rates and kind != 'released':
                line += f', {median_ratio(values, rates["released"]):.2f} times the released rate'
            if args.need:
                line += f'; {math.ceil(args.need / middle)} core(s) for {args.need:g} clips/s'
            print(line)


if __name__ == '__main__':
    main()
