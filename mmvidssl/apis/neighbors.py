"""Picture of clips and their nearest neighbours by features."""

from pathlib import Path

import numpy as np

from mmvidssl.datasets.readers import build_reader
from mmvidssl.visualization import nearest_neighbors, picture_sheet

from .features import FileFeatures
from .media import READER, Paths, find_media
from .pictures import middle_square

THUMBNAIL = 160  # pixels


def draw_neighbors(
    found: FileFeatures, videos: Paths, num_queries: int = 6, num: int = 5, gap: float = 2.0
) -> np.ndarray:
    """Draw a sheet with a row per query clip: it, and its nearest neighbours by features.

    Args:
        found: Features ``(S, D)`` of clips of the videos, from :func:`extract_features`.
        videos: The same videos.
        num_queries: Query clips, taken from all videos in turn.
        num: Most neighbours of each.
        gap: Seconds; nearer clips of the same video are no neighbours.

    Returns:
        ``(H, W, 3)`` uint8 RGB: the middle squares of the clips' first frames, with the times.

    Raises:
        ValueError: if a clip has no neighbour, or a number is not positive.
    """
    groups = [np.flatnonzero(np.equal(found.names, name)) for name in dict.fromkeys(found.names)]
    rounds = -(-max(num_queries, 1) // len(groups))
    places = [(x, (2 * i + 1) * len(x) // (2 * rounds)) for i in range(rounds) for x in groups]
    queries = list(dict.fromkeys(int(x[place]) for x, place in places))[: max(num_queries, 1)]
    nearest = nearest_neighbors(found.features.numpy(), found.names, found.times, queries, num, gap)
    if min(num_queries, num) < 1 or not all(map(len, nearest)):
        raise ValueError(
            f'no neighbour among {len(found.names)} clips that is more than gap={gap} s away: use '
            'longer or more videos, a smaller gap or every, and positive numbers'
        )
    paths = {name: path for path, name in find_media(videos)}
    sheet: list[tuple[str, np.ndarray]] = []
    for query, others in zip(queries, nearest, strict=True):
        row = [query, *others]
        for place, i in enumerate(row):
            name = f'{"" if place else "query "}{Path(found.names[i]).stem} {found.times[i]:.1f} s'
            sheet.append((name, _thumbnail(paths[found.names[i]], found.times[i])))
        sheet += [('', np.full_like(sheet[-1][1], 255))] * (1 + num - len(row))
    return picture_sheet([name for name, _ in sheet], np.stack([x for _, x in sheet]), 1 + num)


def _thumbnail(path: str, time: float) -> np.ndarray:
    reader = build_reader(path, READER)
    try:
        return middle_square(reader.get_frames(times=np.array([time])), THUMBNAIL)[0]
    finally:
        reader.close()
