"""Draw features of videos: as colours (pca), clips that are alike (neighbors), a map of clips.

pca: the three principal components of patch features as red, green and blue, a strip and an MP4 a
video, the checkpoints side by side in one basis. neighbors: clips and the nearest others. map:
t-SNE or UMAP, coloured by video and by time. The last two draw a picture a checkpoint.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmvidssl.apis import (
    Sampling,
    draw_neighbors,
    extract_features,
    init_model,
    patch_features,
    read_footage,
)
from mmvidssl.visualization import embed_features, pca_colours, plot_map, write_image, write_strip
from mmvidssl.visualization.drawing import enlarge
from mmvidssl.visualization.feature_pictures import METHODS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=('pca', 'neighbors', 'map'))
    parser.add_argument('config', help='the config of the model')
    parser.add_argument('checkpoints', nargs='+', help='of training runs, or published backbones')
    parser.add_argument('--video', nargs='+', required=True)
    parser.add_argument('--out', required=True, type=Path, help='folder of the pictures')
    parser.add_argument('--foreground', action='store_true', help='pca: background in black')
    parser.add_argument('--frames', type=int, help='pca: of the clip; default: 16, or one clip')
    parser.add_argument('--frame-interval', type=int, default=4, help='frames of the video')
    parser.add_argument('--start', type=float, default=0.0, help='seconds')
    parser.add_argument('--every', type=float, default=1.0, help='seconds between clips')
    parser.add_argument('--queries', type=int, default=6, help='neighbors: rows')
    parser.add_argument('--neighbors', type=int, default=5, help='of a row')
    parser.add_argument('--gap', type=float, default=2.0, help='neighbors: seconds left out')
    parser.add_argument('--method', choices=METHODS, default='tsne', help='of the map')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        draw_pca(args) if args.kind == 'pca' else draw_clips(args)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def names_of(paths: Sequence[str]) -> list[str]:
    """As short as tells them apart."""
    stems = [Path(path).stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [f'{Path(path).absolute().parent.name}_{Path(path).stem}' for path in paths]


def draw_pca(args: argparse.Namespace) -> None:
    models = [init_model(args.config, path, args.device) for path in args.checkpoints]
    timing = args.frames, args.frame_interval, args.start
    for video, name in zip(args.video, names_of(args.video), strict=True):
        frames, fps = read_footage(models[0], video, *timing)
        features = [patch_features(model, frames) for model in models]
        shown = frames[:: len(frames) // len(features[0])]
        columns = {'frame': shown}
        colours = pca_colours(features, args.foreground)
        for checkpoint, maps in zip(names_of(args.checkpoints), colours, strict=True):
            columns[checkpoint] = np.stack([enlarge(m, frames.shape[1:3]) for m in maps])
        write_strip(args.out / f'pca_{name}', columns, fps * len(shown) / len(frames))
        print(args.out / f'pca_{name}.png')


def draw_clips(args: argparse.Namespace) -> None:
    for checkpoint, name in zip(args.checkpoints, names_of(args.checkpoints), strict=True):
        model = init_model(args.config, checkpoint, args.device)
        sampling = Sampling(args.every, args.frame_interval)
        found = extract_features(model, args.video, sampling=sampling)
        path = args.out / f'{args.kind}_{name}.png'
        if args.kind == 'map':
            points = embed_features(found.features.numpy(), args.method)
            plot_map(path, points, found.names, found.times)
        else:
            numbers = args.queries, args.neighbors, args.gap
            write_image(path, draw_neighbors(found, args.video, *numbers))
        print(path)


if __name__ == '__main__':
    sys.exit(main())
