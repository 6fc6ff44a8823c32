"""Features drawn as PCA colours, nearest neighbours and 2-D maps, by scikit-learn."""

import os
from collections.abc import Sequence

import numpy as np

from mmvidssl.utils.atomic_file import atomic_path

METHODS = ('tsne', 'umap')


def pca_colours(features: Sequence[np.ndarray], foreground: bool = False) -> list[np.ndarray]:
    """The first three principal components of patch features as red, green and blue.

    One basis is shared by all frames and encoders, after each encoder's mean is subtracted. The 1st
    to the 99th percentile of an encoder's patches range from dark to bright in each component.

    Args:
        features: ``(T, h, w, D)`` of each encoder, of one ``D``.
        foreground: Paint the background black and fit the basis to the rest. The sign of the first
            component splits patches; the side of most patches at the frames' edges is background.

    Returns:
        ``(T, h, w, 3)`` uint8 of each encoder.

    Raises:
        ValueError: if widths differ, or there are fewer than three patches or channels.
    """
    from sklearn.decomposition import PCA  # takes a second to import

    widths = sorted({array.shape[-1] for array in features})
    if len(widths) > 1:
        raise ValueError(f'one basis needs features of one width, got {widths}')
    flat = [array.reshape(-1, widths[0]).astype(np.float64) for array in features]
    flat = [rows - rows.mean(axis=0) for rows in flat]
    kept = [np.ones(len(rows), bool) for rows in flat]
    if foreground:
        first = PCA(1, svd_solver='full').fit(np.concatenate(flat))
        for i, array in enumerate(features):
            side = first.transform(flat[i])[:, 0].reshape(array.shape[:3]) > 0
            edges = np.concatenate([side[:, [0, -1]].ravel(), side[:, :, [0, -1]].ravel()])
            kept[i] = (side != (edges.mean() > 0.5)).ravel()
    together = np.concatenate([rows[keep] for rows, keep in zip(flat, kept, strict=True)])
    if min(together.shape) < 3:
        raise ValueError(f'three components need three patches and channels, got {together.shape}')
    basis = PCA(3, svd_solver='full').fit(together)
    colours = []
    for array, rows, keep in zip(features, flat, kept, strict=True):
        values = basis.transform(rows)
        low, high = np.percentile(values[keep] if keep.any() else values, (1, 99), axis=0)
        levels = ((values - low) / np.maximum(high - low, 1e-12)).clip(0, 1) * keep[:, None]
        colours.append((255 * levels).round().astype(np.uint8).reshape(*array.shape[:3], 3))
    return colours


def nearest_neighbors(
    features: np.ndarray,
    names: Sequence[str],
    times: np.ndarray,
    queries: Sequence[int],
    num: int,
    gap: float,
) -> list[np.ndarray]:
    """Nearest neighbours of some clips by cosine similarity, nearest first.

    Args:
        features: ``(S, D)``, one for each clip.
        names: Name of each clip's video.
        times: ``(S,)``, seconds of each clip from the start of its video.
        queries: Indices of the clips whose neighbours are wanted.
        num: Number of neighbours, fewer if there are no more.
        gap: Clips of the same video within so many seconds are no neighbours.
    """
    from sklearn.metrics.pairwise import cosine_similarity

    found, videos = [], np.asarray(names)
    for query in queries:
        is_far = (videos != videos[query]) | (np.abs(times - times[query]) > gap)
        is_far[query] = False
        others = np.flatnonzero(is_far)
        similarity = cosine_similarity(features[[query]], features)[0, others]
        found.append(others[np.argsort(-similarity, kind='stable')[:num]])
    return found


def embed_features(features: np.ndarray, method: str = 'tsne') -> np.ndarray:
    """2-D map of features: ``(S, D)`` -> points ``(S, 2)``, close if the features are.

    Raises:
        ValueError: if there are fewer than 5 features, the method is unknown, or UMAP is not
            installed.
    """
    if len(features) < 5:
        raise ValueError(f'a map needs 5 samples, got {len(features)}: use a smaller --every')
    if method == 'umap':
        try:
            from umap import UMAP
        except ImportError as error:
            raise ValueError('UMAP is missing: pip install umap-learn, or use tsne') from error
        neighbors = min(15, len(features) - 1)
        return UMAP(n_neighbors=neighbors, random_state=0).fit_transform(features)
    if method != 'tsne':
        raise ValueError(f'method must be one of {METHODS}, got {method!r}')
    from sklearn.manifold import TSNE

    perplexity = min(30, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, init='pca', random_state=0).fit_transform(features)


def plot_map(
    path: str | os.PathLike, points: np.ndarray, names: Sequence[str], times: np.ndarray
) -> None:
    """Draw points ``(S, 2)`` twice: coloured by video, and by ``times`` ``(S,)`` in seconds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.5), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
    by_video, by_time = figure.subplots(1, 2)
    for i, name in enumerate(dict.fromkeys(names)):
        chosen = points[np.asarray(names) == name]
        style = dict(color=f'C{i % 10}', marker='os^v'[i // 10 % 4], label=os.path.basename(name))
        by_video.scatter(*chosen.T, s=18, **style)
    by_video.legend(fontsize='small')
    drawn = by_time.scatter(*points.T, s=18, c=times, cmap='viridis')
    figure.colorbar(drawn, ax=by_time, label='seconds from the start of its video')
    for axes, title in ((by_video, 'by video'), (by_time, 'by time')):
        axes.set(title=title, xticks=[], yticks=[])
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
