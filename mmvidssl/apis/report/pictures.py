"""Pictures of what a model makes of a video."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import TRANSFORMS
from mmvidssl.visualization import draw_hog, overlay_masks

from ..media import MediaSamples, Sampling, to_clip
from ..track import track_objects

MIN_GRID = 14  # patches along a side, for masks in which a shape can be seen
DIMMED = 0.5
GREY = ((128, 128, 128),)
Pictures = dict[str, np.ndarray]


def pictures(model: nn.Module, cfg: Config, video: Path, num_frames: int) -> Pictures:
    """What can be drawn of a model: objects that DoRA tracks, HOG that MaskFeat predicts.

    Args:
        model: In evaluation mode.
        cfg: Its config.
        video: The beginning is drawn.
        num_frames: The most, for a model that takes clips of any length.

    Returns:
        ``(T, H, W, 3)`` uint8 by title, all of one T.

    Raises:
        ValueError: If nothing can be drawn, or the video is shorter than the model's clip.
        VideoError: If the video cannot be read.
    """
    backbone = cfg.model.backbone
    size = backbone.get('img_size') or backbone.get('spatial_size') or 224
    size = size if isinstance(size, int) else size[0]
    if hasattr(model, 'track'):
        size = max(size, MIN_GRID * model.teacher.backbone.patch_size[0])
        clip = _read(video, num_frames, size)
        return {'frames': clip, 'objects': overlay_masks(clip, track_objects(model, clip).masks)}
    if hasattr(getattr(model, 'target_generator', None), 'as_cells'):
        dataset = cfg.get('train_dataloader', {}).get('dataset', {})
        masks = [t for t in dataset.get('pipeline', ()) if str(t['type']).endswith('Mask')]
        if not masks:
            raise ValueError('the config has no mask in train_dataloader.dataset.pipeline')
        length = dataset.clip_len
        clip = _read(video, length, size)
        if len(clip) < length:
            raise ValueError(f'{video} is too short: {len(clip)} frames of a clip of {length}')
        return _hog(model, clip, TRANSFORMS.build(masks[0]).draw(np.random.default_rng(0)))
    raise ValueError(f'no pictures of {type(model).__name__} are known, only of DoRA and MaskFeat')


def _read(video: Path, num_frames: int, size: int) -> np.ndarray:
    """The first frames, the middle square of each: ``(T, size, size, 3)``, T <= ``num_frames``."""
    sampling = Sampling(every=1e9, short_side=size, crop_size=size)
    samples = MediaSamples(video, num_frames, sampling)
    clip = samples[0].permute(1, 2, 3, 0).numpy()
    return clip[: len(np.unique(samples.samples[0].frame_inds))]


@torch.no_grad()
def _hog(model: nn.Module, clip: np.ndarray, mask: np.ndarray) -> Pictures:
    """A picture a time step; where nothing is predicted, HOG is the true one, dimmed."""
    inputs = model.data_preprocessor(dict(inputs=dict(clip=[to_clip(clip)])))['inputs']['clip']
    window = torch.from_numpy(mask)[None]
    pred, grid = model.predict(inputs, window)
    generator = model.target_generator
    # (1, T, C, bins, h, w) -> (T, h, w, bins), the mean of the colours
    hog, true = (
        generator.as_cells(x, grid)[0].mean(dim=1).movedim(1, -1).cpu().numpy()
        for x in (pred, generator(inputs))
    )
    is_masked = resize_mask(window, (grid[0], *true.shape[1:3]))[0].cpu().numpy()
    hog = np.where(is_masked[..., None], hog, DIMMED * true)
    cell = clip.shape[1] // true.shape[1] * max(1, 224 // clip.shape[1])
    drawn = [draw_hog(x, cell, generator.signed)[..., None].repeat(3, -1) for x in (hog, true)]
    frames = clip[:: generator.temporal_stride][: grid[0]]
    masked = overlay_masks(frames, is_masked[None], GREY, 1.0)
    titles = ('frames', 'masked', 'predicted HOG', 'true HOG')
    return dict(zip(titles, (frames, masked, *drawn), strict=True))


def choose(paths: list[Path], most: int) -> list[Path]:
    """``most`` of them, evenly, with the first and the last."""
    if len(paths) <= most:
        return paths
    return [paths[i] for i in np.linspace(0, len(paths) - 1, most).round().astype(int)]
