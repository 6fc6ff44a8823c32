"""Describe videos: light, shots, motion, sharpness, repeated frames, objects; JSON and a page."""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence

import numpy as np

from mmvidssl.apis import describe_videos, load_weights
from mmvidssl.engine.utils import digest_of
from mmvidssl.utils.listing import some

EXAMPLE = """example:
  python tools/analysis/video_statistics.py mine.mp4 data/walking_tours/*.webm --out statistics

exit code 1: some videos could not be described, which are named; 2: nothing could be done
"""


def parse_args() -> argparse.Namespace:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE, formatter_class=plain)
    add = parser.add_argument
    add('videos', nargs='+', metavar='VIDEO')
    add('--out', default='video_statistics', metavar='DIR', help='(video_statistics)')
    add('--per-second', type=float, default=2.0, help='how often frames are looked at (2)')
    add('--detector', nargs=2, metavar=('CONFIG', 'WEIGHTS'), help="mmdetection's, finds objects")
    add('--every', type=float, default=2.0, help='seconds between frames for the detector (2)')
    add('--score', type=float, default=0.3, help='least score of an object (0.3)')
    add('--device', default='cpu', help='of the detector (cpu)')
    return parser.parse_args()


def build_detector(
    config: str, weights: str, score: float, device: str
) -> tuple[str, Callable[[np.ndarray], Sequence[str]]]:
    """A model of mmdetection, in words, and as a function: class names of objects in a frame."""
    given = load_weights(weights)
    try:
        from mmdet.apis import inference_detector, init_detector

        model = init_detector(config, weights, device=device)
    except Exception as error:  # whatever a config lacks
        raise ValueError(f'{config} with {weights} is no detector: {error}') from error
    if missing := sorted(set(model.state_dict()) - set(given)):
        raise ValueError(f'{weights} is not of {config}: it lacks {some(missing)}')
    classes = model.dataset_meta['classes']

    def detect(frame: np.ndarray) -> Sequence[str]:
        found = inference_detector(model, np.ascontiguousarray(frame[..., ::-1])).pred_instances
        return [classes[label] for label in found.labels[found.scores >= score].tolist()]

    digests = hashlib.sha256(model.cfg.pretty_text.encode()).hexdigest()[:8], digest_of(model)[:8]
    with_digests = f'{config} ({digests[0]}) with {weights} ({digests[1]})'
    return f'{with_digests}, of a score of {score} or more', detect


def main() -> int:
    args = parse_args()
    try:
        detector = args.detector and build_detector(*args.detector, args.score, args.device)
        failed = describe_videos(args.videos, args.out, args.per_second, detector, args.every)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command goes on with what is missing', file=sys.stderr)
        return 130
    for reason in failed.values():
        print(f'failed: {reason}', file=sys.stderr)
    print(f'{args.out}/statistics.html')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
