"""Draw what models see in videos.

objects      DoRA: attention of each head, assignment before and after Sinkhorn-Knopp, tracks, and
             what the student sees
predictions  MaskFeat: the masked clip, the predicted and the true targets
pca          any backbone: principal components of patch features as colours, the checkpoints side
             by side in one basis
neighbors    clips and their nearest neighbours
map          t-SNE or UMAP of clips, coloured by video and by time

Writes OUT/CHECKPOINT/*.png, and .mp4 of all that runs in time; pca writes OUT/pca_VIDEO.*.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from torch import nn

from mmvidssl.apis import (
    Sampling,
    draw_features,
    draw_neighbors,
    draw_objects,
    draw_predictions,
    extract_features,
    init_model,
    read_footage,
)
from mmvidssl.apis.pictures import check_draws_targets
from mmvidssl.visualization import embed_features, plot_map, write_image, write_strip

CHECKPOINTS = 'of a run; a published backbone will do for everything but predictions'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=('objects', 'predictions', 'pca', 'neighbors', 'map'))
    parser.add_argument('config', help='that the model was trained with')
    parser.add_argument('checkpoints', nargs='+', help=CHECKPOINTS)
    parser.add_argument('--video', nargs='+', required=True)
    parser.add_argument('--out', required=True, type=Path, help='folder of the pictures')
    parser.add_argument('--frames', type=int, help='default: 16, or more in whole clips')
    parser.add_argument('--frame-interval', type=int, default=4, help='frames of the video')
    parser.add_argument('--start', type=float, default=0.0, help='seconds')
    parser.add_argument('--seed', type=int, default=0, help='predictions: of the masks')
    parser.add_argument('--foreground', action='store_true', help='pca: background in black')
    parser.add_argument('--every', type=float, default=1.0, help='map, neighbors: seconds')
    parser.add_argument('--queries', type=int, default=6, help='neighbors: rows')
    parser.add_argument('--neighbors', type=int, default=5, help='of a row')
    parser.add_argument('--gap', type=float, default=2.0, help='neighbors: seconds left out')
    parser.add_argument('--method', choices=('tsne', 'umap'), default='tsne', help='of the map')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        paths = dict(zip(names_of(args.checkpoints), args.checkpoints, strict=True))
        models = {name: init_model(args.config, x, args.device) for name, x in paths.items()}
        if args.kind == 'predictions':
            for name, model in models.items():
                check_draws_targets(model, paths[name])
        draw = draw_samples if args.kind in ('neighbors', 'map') else draw_clips
        draw(args, models)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'pictures are in {args.out}')
    return 0


def names_of(paths: Sequence[str]) -> list[str]:
    """Short names of paths: their stems, numbered if two of them are the same."""
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        names = [f'{i}_{name}' for i, name in enumerate(names, start=1)]
    return names


def draw_clips(args: argparse.Namespace, models: dict[str, nn.Module]) -> None:
    first, cfg = next(iter(models.values())), Config.fromfile(args.config)
    for video, name in zip(args.video, names_of(args.video), strict=True):
        frames, fps = read_footage(first, video, args.frames, args.frame_interval, args.start)
        strips = {}
        if args.kind == 'pca':
            strips[args.out / f'pca_{name}'] = draw_features(models, frames, args.foreground)
        for checkpoint, model in models.items():
            out = args.out / checkpoint
            if args.kind == 'predictions':
                drawn = draw_predictions(model, frames, cfg, args.seed)
                strips[out / f'predictions_{name}'] = drawn
            elif args.kind == 'objects':
                pictures = draw_objects(model, frames)
                write_image(out / f'attention_{name}.png', pictures.attention)
                write_image(out / f'assignment_{name}.png', pictures.assignment)
                strips[out / f'tracks_{name}'] = pictures.tracks
                strips[out / f'student_views_{name}'] = pictures.views
        for path, columns in strips.items():
            write_strip(path, columns, fps * len(columns['frame']) / len(frames))


def draw_samples(args: argparse.Namespace, models: dict[str, nn.Module]) -> None:
    sampling = Sampling(args.every, args.frame_interval)
    for checkpoint, model in models.items():
        found = extract_features(model, args.video, sampling=sampling)
        path = args.out / checkpoint / f'{args.kind}.png'
        if args.kind == 'map':
            points = embed_features(found.features.numpy(), args.method)
            plot_map(path, points, found.names, found.times)
        else:
            numbers = args.queries, args.neighbors, args.gap
            write_image(path, draw_neighbors(found, args.video, *numbers))


if __name__ == '__main__':
    sys.exit(main())
