"""Speed of DoRA's augmentation on one core, ours against torchvision's on PIL images.

Both make one global and six local views of the same decoded clip, with the settings of
configs/_base_/datasets/walking_tours_dora.py. Theirs (tests/references/pil_augmentation.py) applies
torchvision's transforms frame by frame, as the official code does, and ends with normalised
tensors. Ours ends with uint8 tensors, which are normalised on the device, so theirs is also timed
without normalisation. Both run in turn, in several rounds; the ratio is the median over rounds.
"""

import cProfile
import pstats
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from measuring import ROOT, make_parser
from mmengine.config import Config
from mmengine.dataset import Compose

from mmvidssl.datasets.transforms import build_transforms
from tests.references.pil_augmentation import PerFrame

CONFIG = ROOT / 'configs/_base_/datasets/walking_tours_dora.py'


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), help='height and width')
    parser.add_argument('--frames', type=int, default=8, help='of a clip')
    parser.add_argument('--rounds', type=int, default=15, help='of all, in turn')
    parser.add_argument('--samples', type=int, default=4, help='of each a round')
    parser.add_argument('--content', choices=('video', 'noise'), default='video', help='of frames')
    parser.add_argument('--profile', action='store_true', help='where our time goes as well')
    return parser.parse_args()


def make_clip(content: str, frames: int, size: tuple[int, int]) -> np.ndarray:
    """A moving picture with the statistics of video, or noise; uint8 ``(T, H, W, 3)``."""
    rng = np.random.default_rng(0)
    if content == 'noise':
        return rng.integers(0, 256, (frames, *size, 3), dtype=np.uint8)
    picture = np.zeros((size[0] + 8 * frames, size[1] + 8 * frames, 3), np.float32)
    for octave in range(8):  # each of half the scale: the spectrum of natural images
        cells = rng.random((2 + 2**octave, 3 + 2**octave, 3), dtype=np.float32) - 0.5
        shape = picture.shape[1::-1]
        picture += cv2.resize(cells, shape, interpolation=cv2.INTER_CUBIC) * 160 / 1.5**octave
    picture = (picture + 128 + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)
    views = [picture[8 * t : 8 * t + size[0], 8 * t : 8 * t + size[1]] for t in range(frames)]
    return np.stack(views)


def make_ours() -> Callable[[np.ndarray, int], dict]:
    """The config's pipeline after decoding."""
    pipeline = Config.fromfile(CONFIG).train_pipeline
    steps = [dict(step) for step in pipeline if step['type'] != 'DecodeClip']
    augment = Compose(build_transforms(steps))
    return lambda clip, seed: augment(dict(clip=clip, rng=np.random.default_rng(seed)))


def seconds_a_sample(make: Callable, clip: np.ndarray, seeds: range) -> float:
    """Mean CPU time of a call, which other processes disturb less than wall-clock time."""
    started = time.process_time()
    for seed in seeds:
        make(clip, seed)
    return (time.process_time() - started) / len(seeds)


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    clip = make_clip(args.content, args.frames, tuple(args.size))
    ours = make_ours()
    kinds: dict[str, Callable] = {
        'ours': ours,
        'torchvision': PerFrame(),
        'torchvision, left uint8': PerFrame(normalize=False),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(-1, args.rounds):
        for name, make in kinds.items():
            seeds = range(args.samples * (number + 1), args.samples * (number + 2))
            times[name].append(seconds_a_sample(make, clip, seeds))
    for name, (_, *seconds) in times.items():
        middle = statistics.median(seconds)
        line = f'{name}: {1 / middle:.2f} samples/s ({1000 * middle:.1f} ms)'
        if name != 'ours':
            ratios = sorted(a / b for a, b in zip(seconds, times['ours'][1:], strict=True))
            line += f', ours at {statistics.median(ratios):.2f} times the rate'
            line += f' ({ratios[0]:.2f} to {ratios[-1]:.2f})'
        print(line)
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(seconds_a_sample, ours, clip, range(20))
        pstats.Stats(profile).sort_stats('tottime').print_stats(22)


if __name__ == '__main__':
    main()
