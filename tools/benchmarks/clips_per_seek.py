"""Time to decode a clip when several are taken from one place of a video (``clips_per_seek``).

Writes a video with few key frames, and decodes clips of DoRA's timing (8 frames, 1 s apart) from it
in random order, alone and in groups. The video stays open. Rounds alternate; medians of CPU time
are printed, which other processes disturb less than the time on the clock.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

NOISE = 3.0  # levels; of a camera


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), help='height and width')
    parser.add_argument('--fps', type=int, default=60, help='(default: %(default)s)')
    parser.add_argument('--gop', type=int, default=250, help='frames between key frames')
    parser.add_argument('--seconds', type=int, default=30, help='length of the video')
    parser.add_argument('--clips-per-seek', type=int, nargs='+', default=[1, 2, 4, 8])
    parser.add_argument('--clip-spacing', type=float, help='seconds (default: interleaved)')
    parser.add_argument('--reader', default='PyAVReader', help='(default: %(default)s)')
    parser.add_argument('--reader-options', type=json.loads, default={}, help='as JSON')
    parser.add_argument('--short-side', type=int, help='shrink decoded frames to this')
    parser.add_argument('--clips', type=int, default=8, help='of each a round')
    parser.add_argument('--rounds', type=int, default=3, help='(default: %(default)s)')
    parser.add_argument('--video', help='decode this one instead')
    return parser.parse_args()


def write_video(path: Path, args: argparse.Namespace) -> None:
    """A picture moving in a circle, with a camera's noise, in H.264."""
    rng = np.random.default_rng(0)
    height, width = args.size
    cells = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    picture = cv2.resize(cells, (width + 128, height + 128), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, NOISE, (2 * height, 2 * width, 3)).astype(np.int16)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=args.fps)
        stream.height, stream.width, stream.pix_fmt = height, width, 'yuv420p'
        stream.gop_size = args.gop
        stream.options = dict(preset='veryfast', crf='23', sc_threshold='0')
        for number in range(args.seconds * args.fps):
            angle = number / args.fps
            top, left = int(64 + 63 * math.sin(angle)), int(64 + 63 * math.cos(angle))
            y, x = rng.integers(0, (height, width))
            view = picture[top : top + height, left : left + width]
            view = (view + noise[y : y + height, x : x + width]).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format='rgb24')))
        container.mux(stream.encode())


def build_loader(path: str, clips_per_seek: int, args: argparse.Namespace):
    """A data set whose samples are decoded only, and the order of its items."""
    from mmvidssl.datasets import ClipSampler, LongVideoDataset

    dataset = LongVideoDataset(
        videos=[path],
        clips_per_seek=clips_per_seek,
        clip_spacing=args.clip_spacing if clips_per_seek > 1 else None,
        reader=dict(type=args.reader, **args.reader_options),
        seed=0,
        # In this process: the processor time of another would not be counted.
        pipeline=[dict(type='DecodeClip', short_side=args.short_side, timeout=None)],
    )
    dataset[0]  # opens the file
    return dataset, iter(ClipSampler(dataset, seed=0))


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        path = args.video or str(Path(folder) / 'video.mp4')
        if not args.video:
            write_video(Path(path), args)
        loaders = {k: build_loader(path, k, args) for k in args.clips_per_seek}
        times: dict[int, list[float]] = {k: [] for k in loaders}
        for _ in range(args.rounds):
            for k, (dataset, order) in loaders.items():
                num_items = max(1, args.clips // k)
                started = time.process_time()
                for _ in range(num_items):
                    dataset[next(order)]
                times[k].append((time.process_time() - started) / (num_items * k))
    alone = times[args.clips_per_seek[0]]
    for k, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(alone, seconds, strict=True))
        milliseconds = 1000 * statistics.median(seconds)
        print(f'clips_per_seek={k}: {milliseconds:.0f} ms a clip, {ratio:.2f} times as quick')


if __name__ == '__main__':
    main()
