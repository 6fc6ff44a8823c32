"""Resident memory over thousands of clips, by reader.

Each reader, in a process of its own, reads clips of 8 frames at random positions of several videos,
as a data loading worker does. After some of them its allocated memory is printed (with that of the
process that decodes for it, if any; without mapped libraries and files). If the last figures are
alike, the reader does not leak.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from measuring import call_again, installed_readers, make_parser, memory_with_children

from mmvidssl.datasets.readers import PROXY_SUFFIX, GuardedReaders, ReaderCache

MARKS = (10, 100, 250, 500, 1000, 1500, 2000, 5000, 10000)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--clips', type=int, default=2000, help='of each reader')
    parser.add_argument('--videos', type=int, default=6, help='that they come from')
    parser.add_argument('--size', type=int, nargs=2, default=(360, 640), help='height and width')
    parser.add_argument('--readers', nargs='+', help='if not all that are installed')
    parser.add_argument('--guarded', action='store_true', help='in a process that may be killed')
    parser.add_argument('--reader', help=argparse.SUPPRESS)
    parser.add_argument('--paths', nargs='+', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict[int, float]:
    """MiB of one reader in this process, by number of clips so far."""
    # Fewer stay open than there are videos, so that they are opened and closed all the time.
    readers = GuardedReaders(max_open=4) if args.guarded else ReaderCache(max_open=4)
    rng = np.random.default_rng(0)
    trace = {}
    for i in range(1, args.clips + 1):
        video = readers.get(args.paths[rng.integers(len(args.paths))], dict(type=args.reader))
        first = rng.integers(video.num_frames - 8 * 7)
        video.get_frames(first + np.arange(8) * 7)
        if i in MARKS or i == args.clips:
            trace[i] = memory_with_children(os.getpid(), 'Pss_Anon')
    readers.close()
    return trace


def write_videos(folder: Path, num_videos: int, size: tuple[int, int]) -> dict[str, list[Path]]:
    """Write videos and their proxies; return their paths."""
    from mmvidssl.apis import ProxySettings, make_proxy
    from tests.utils_video import write_video

    paths: dict[str, list[Path]] = dict(videos=[], proxies=[])
    for i in range(num_videos):
        video = write_video(folder / f'{i}.mp4', 300, size, fps=30, gop=60)
        proxy = folder / f'{i}{PROXY_SUFFIX}'
        make_proxy(video, proxy, ProxySettings(short_side=360, fps=10))
        paths['videos'].append(video)
        paths['proxies'].append(proxy)
    return paths


def main() -> None:
    args = parse_args()
    if args.reader:
        print(json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = write_videos(Path(folder), args.videos, tuple(args.size))
        for reader in args.readers or [*installed_readers(), 'ProxyReader']:
            kind = 'proxies' if reader == 'ProxyReader' else 'videos'
            trace = call_again('--reader', reader, '--paths', *paths[kind])
            print(f'{reader}: ' + ', '.join(f'{i}: {mib:.0f} MiB' for i, mib in trace.items()))


if __name__ == '__main__':
    main()
