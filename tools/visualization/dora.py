"""Draw how DoRA finds objects in the first frame of a clip and follows them through it.

Writes attention.png (of each head), assignment.png (before and after Sinkhorn-Knopp), tracks.png
and .mp4, student_views.png and .mp4.
"""

import argparse
import sys
from pathlib import Path

from mmvidssl.apis import draw_objects, init_model, read_footage
from mmvidssl.visualization import write_image, write_strip


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config of the model')
    parser.add_argument('checkpoint', help='of a training run, or a published backbone')
    parser.add_argument('--video', required=True)
    parser.add_argument('--out', required=True, type=Path, help='folder of the pictures')
    parser.add_argument('--frames', type=int, help='of the clip; default: 16, or one clip')
    parser.add_argument('--frame-interval', type=int, default=4, help='frames of the video')
    parser.add_argument('--start', type=float, default=0.0, help='seconds')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        model = init_model(args.config, args.checkpoint, args.device)
        timing = args.frames, args.frame_interval, args.start
        frames, fps = read_footage(model, args.video, *timing)
        pictures = draw_objects(model, frames)
        write_image(args.out / 'attention.png', pictures.attention)
        write_image(args.out / 'assignment.png', pictures.assignment)
        write_strip(args.out / 'tracks', pictures.tracks, fps)
        write_strip(args.out / 'student_views', pictures.views, fps)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{args.out}: attention, assignment, tracks, student_views')
    return 0


if __name__ == '__main__':
    sys.exit(main())
