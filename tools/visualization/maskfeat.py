"""Draw what MaskFeat predicts of a masked clip beside the truth: predictions.png and .mp4."""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from mmvidssl.apis import draw_predictions, init_model, load_weights, read_footage
from mmvidssl.visualization import write_strip


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config that the model was trained with')
    parser.add_argument('checkpoint', help='of a training run')
    parser.add_argument('--video', required=True)
    parser.add_argument('--out', required=True, type=Path, help='folder of the pictures')
    parser.add_argument('--frames', type=int, help='of the clip; default: 16, or one clip')
    parser.add_argument('--frame-interval', type=int, default=4, help='frames of the video')
    parser.add_argument('--start', type=float, default=0.0, help='seconds')
    parser.add_argument('--seed', type=int, default=0, help='of the masks')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        model = init_model(args.config, args.checkpoint, args.device)
        if not any(name.startswith('neck.') for name in load_weights(args.checkpoint)):
            raise ValueError(
                f'{args.checkpoint} has no projection (neck), which predicts; give '
                'a checkpoint of the training run'
            )
        timing = args.frames, args.frame_interval, args.start
        frames, fps = read_footage(model, args.video, *timing)
        columns = draw_predictions(model, frames, Config.fromfile(args.config), args.seed)
        shown = len(next(iter(columns.values())))
        write_strip(args.out / 'predictions', columns, fps * shown / len(frames))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{args.out}: predictions')
    return 0


if __name__ == '__main__':
    sys.exit(main())
