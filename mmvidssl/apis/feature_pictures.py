"""Features of videos, as pictures."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmvidssl.datasets.readers import build_reader
from mmvidssl.datasets.transforms import ClipCenterCrop, ClipResize
from mmvidssl.structures import VidSSLDataSample
from mmvidssl.visualization import nearest_neighbors, picture_sheet

from .features import FeatureExtractor, FileFeatures
from .media import READER, Paths, find_media, to_clip

THUMBNAIL = 160  # pixels


@torch.no_grad()
def patch_features(model: nn.Module, frames: np.ndarray) -> np.ndarray:
    """Features ``(t, h, w, D)`` of the patches of frames ``(T, H, W, 3)``, or of several clips.

    ``t`` is ``T`` for a backbone of frames, and the time steps of all clips for one of clips.
    """
    encoder = FeatureExtractor(model, pool='none')
    encoder.to(next(encoder.backbone.parameters()).device)
    pixels = to_clip(frames).transpose(0, 1)
    if encoder.clip_len is not None:
        pixels = pixels.unflatten(0, (-1, encoder.clip_len)).transpose(1, 2)
    pixels = pixels.to(encoder.mean.device)
    found = encoder.predict([pixels], [VidSSLDataSample()])[0].features.cpu().numpy()
    return found.reshape(-1, *found.shape[-3:])


def draw_neighbors(
    found: FileFeatures, videos: Paths, num_queries: int = 6, num: int = 5, gap: float = 2.0
) -> np.ndarray:
    """A sheet with a row for each of some clips, evenly spread: itself, and those nearest to it.

    Args:
        found: Features ``(S, D)`` of clips of the videos, from :func:`extract_features`.
        videos: The same videos.
        num_queries: Rows.
        num: Neighbours, or as many as there are.
        gap: Clips of the same video no further away, in seconds, are left out.

    Returns:
        ``(H, W, 3)`` uint8 RGB: the middle squares of the clips' first frames, with the times.

    Raises:
        ValueError: if a clip has no neighbour, or a number is not positive.
    """
    nearest = nearest_neighbors(found.features.numpy(), found.names, found.times, num, gap)
    queries = np.unique(np.linspace(0, len(nearest) - 1, max(num_queries, 1)).round().astype(int))
    if min(num_queries, num) < 1 or not all(len(nearest[query]) for query in queries):
        raise ValueError(
            f'no neighbour among {len(found.names)} clips that is more than gap={gap} s away: use '
            'longer or more videos, a smaller gap or every, and positive numbers'
        )
    paths = {name: path for path, name in find_media(videos)}
    names: list[str] = []
    pictures: list[np.ndarray] = []
    for query in queries:
        for place, index in enumerate([query, *nearest[query]]):
            name, time = found.names[index], found.times[index]
            names.append(f'{"" if place else "query: "}{Path(name).stem} {time:.1f} s')
            pictures.append(_thumbnail(paths[name], time))
        missing = num - len(nearest[query])
        names += [''] * missing
        pictures += [np.full_like(pictures[-1], 255)] * missing
    return picture_sheet(names, np.stack(pictures), 1 + num)


def _thumbnail(path: str, time: float) -> np.ndarray:
    reader = build_reader(path, READER)
    clip = reader.get_frames(times=np.array([time]))
    reader.close()
    clip = ClipResize(short_side=THUMBNAIL)(dict(clip=clip))
    return ClipCenterCrop(THUMBNAIL)(clip)['clip'][0]
