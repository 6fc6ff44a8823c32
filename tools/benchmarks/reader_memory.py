"""Resident memory over thousands of clips, by reader.

Each reader, in a process of its own, takes clips of 8 frames from random places of several videos,
as a data loading worker does, and prints what it has allocated (with the process that decodes for
it, where there is one; libraries and files that are mapped do not count) after some of them. It is
flat where the last figures are alike.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READERS = ('PyAVReader', 'DecordReader', 'TorchCodecReader', 'ProxyReader')
MARKS = (10, 100, 250, 500, 1000, 1500, 2000, 5000, 10000)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=int, default=2000, help='(default: %(default)s)')
    parser.add_argument('--videos', type=int, default=6, help='(default: %(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=(360, 640), metavar=('H', 'W'))
    parser.add_argument('--readers', nargs='+', choices=READERS, default=READERS)
    parser.add_argument('--guarded', action='store_true', help='in a process that may be killed')
    return parser.parse_args()


def measure(paths: list[str], reader: str, args: argparse.Namespace) -> list[tuple[int, float]]:
    """(clips so far, MiB) of one reader in this process."""
    import os

    import numpy as np

    from mmvidssl.apis.loading_rate import memory_with_children
    from mmvidssl.datasets.readers import GuardedReaders, ReaderCache

    # Fewer stay open than there are: they are opened and closed all the time.
    readers = GuardedReaders(max_open=4) if args.guarded else ReaderCache(max_open=4)
    rng = np.random.default_rng(0)
    trace = []
    for i in range(1, args.clips + 1):
        video = readers.get(paths[rng.integers(len(paths))], dict(type=reader))
        first = rng.integers(video.num_frames - 8 * 7)
        video.get_frames(first + np.arange(8) * 7)
        if i in MARKS or i == args.clips:
            trace.append((i, memory_with_children(os.getpid(), 'Pss_Anon')))
    readers.close()
    return trace


def in_child(function: Callable, *args) -> list:
    from multiprocessing import get_context

    with get_context('spawn').Pool(1) as pool:
        return pool.apply(function, args)


def main() -> None:
    args = parse_args()
    sys.path.insert(0, str(ROOT))
    from mmvidssl.apis import ProxySettings, make_proxies
    from tests.utils_video import write_video

    with tempfile.TemporaryDirectory() as folder:
        videos = [
            str(write_video(Path(folder, f'{i}.mp4'), 600, tuple(args.size), fps=30, gop=60))
            for i in range(args.videos)
        ]
        proxies: list[str] = []
        if 'ProxyReader' in args.readers:
            make_proxies(videos, Path(folder, 'proxies'), ProxySettings(short_side=360, fps=10))
            proxies = sorted(map(str, Path(folder, 'proxies').glob('*.proxy.mp4')))
        for reader in args.readers:
            paths = proxies if reader == 'ProxyReader' else videos
            trace = in_child(measure, paths, reader, args)
            print(f'{reader}: ' + ', '.join(f'{i}: {mib:.0f} MiB' for i, mib in trace), flush=True)


if __name__ == '__main__':
    main()
