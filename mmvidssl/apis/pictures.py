"""Pictures of what models see in videos: tracked objects, predictions, patch features."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmvidssl.datasets.clips import clip_frame_inds, count_clip_starts
from mmvidssl.datasets.readers import ShortVideoError, build_reader
from mmvidssl.datasets.transforms import ClipCenterCrop, ClipResize
from mmvidssl.models.algorithms import MaskFeat
from mmvidssl.models.backbones import DINOViT
from mmvidssl.models.target_generators import (
    DeepFeatureGenerator,
    DiscreteTokenGenerator,
    HOGGenerator,
    PixelGenerator,
)
from mmvidssl.models.target_generators.base import target_frames
from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import TRANSFORMS
from mmvidssl.structures import VidSSLDataSample
from mmvidssl.visualization import (
    assignment_sheet,
    attention_sheet,
    draw_hog,
    pca_colours,
    track_columns,
    view_columns,
)
from mmvidssl.visualization.drawing import PALETTE, enlarge

from .features import FeatureExtractor
from .media import READER, to_clip
from .model import load_weights

MIN_GRID = 14  # patches along the short side, as in training at 224 pixels with patches of 16
NUM_FRAMES = 16
SHOWN = 224  # pixels of the short side of what is drawn on frames, at least
GREY, DIMMED = 128, 0.5
Columns = dict[str, np.ndarray]
Grid = tuple[int, int, int]


class Footage(NamedTuple):
    """Frames of a part of a video, of a size that a model takes."""

    frames: np.ndarray  # (T, H, W, 3) uint8 RGB
    fps: float  # of these frames


def read_footage(
    model: nn.Module,
    video: str | os.PathLike,
    num_frames: int | None = None,
    frame_interval: int = 4,
    start: float = 0.0,
) -> Footage:
    """Read frames of a video for a model: whole for DINO and DoRA, central squares for others.

    Args:
        model: From :func:`init_model`.
        video: The file.
        num_frames: Number of frames; None: 16, rounded up to whole clips of the model.
        frame_interval: Frames of the video from one to the next.
        start: Seconds of the first one.

    Raises:
        ShortVideoError: if the video is too short; names it.
        VideoError: if it cannot be read.
        ValueError: if a number is impossible, or ``num_frames`` is not in whole clips of the model.
    """
    encoder = FeatureExtractor(model)
    clip_len = encoder.clip_len or 1
    num_frames = -(-NUM_FRAMES // clip_len) * clip_len if num_frames is None else num_frames
    if min(num_frames, frame_interval) < 1 or start < 0 or num_frames % clip_len:
        raise ValueError(
            f'num_frames must be a multiple of {clip_len}, frame_interval positive and start not '
            f'negative; got {num_frames}, {frame_interval} and {start}'
        )
    reader = build_reader(str(video), READER)
    try:
        times, timing = reader.timestamps, (num_frames, frame_interval, 'frames')
        first = int(np.searchsorted(times, times[0] + start - 1e-6))
        if first >= count_clip_starts(times, *timing):
            raise ShortVideoError(
                f'{video} has {len(times)} frames, {max(0, len(times) - first)} of them from '
                f'{start} s on; {num_frames} of them, each {frame_interval}th, need '
                f'{(num_frames - 1) * frame_interval + 1}'
            )
        clip = reader.get_frames(clip_frame_inds(times, first, *timing))
        fps = reader.fps / frame_interval
    finally:
        reader.close()
    if isinstance(encoder.backbone, DINOViT):
        patch = encoder.backbone.patch_size
        side = max(encoder.frame_size, MIN_GRID * min(patch))
        return Footage(resize_to_patches(clip, patch, side), fps)
    return Footage(middle_square(clip, encoder.frame_size), fps)


def middle_square(clip: np.ndarray, side: int) -> np.ndarray:
    """Resize frames ``(T, H, W, 3)`` and crop their central square of ``side`` pixels."""
    return ClipCenterCrop(side)(ClipResize(short_side=side)(dict(clip=clip)))['clip']


def resize_to_patches(clip: np.ndarray, patch_size: tuple[int, int], short_side: int) -> np.ndarray:
    """Resize frames ``(T, H, W, 3)`` to about ``short_side`` pixels, in whole patches."""
    scale = short_side / min(clip.shape[1:3])
    sides = zip(clip.shape[1:3], patch_size, strict=True)
    size = [max(1, round(side * scale / patch)) * patch for side, patch in sides]
    return ClipResize(size=size)(dict(clip=clip))['clip']


def _magnify(frames: np.ndarray) -> np.ndarray:
    """Enlarge frames ``(T, H, W, 3)`` by a whole factor to ``SHOWN`` pixels, for overlays."""
    side = min(frames.shape[1:3])
    return resize_to_patches(frames, (1, 1), -(-SHOWN // side) * side)


class ObjectPictures(NamedTuple):
    """Pictures of how DoRA finds objects in a first frame, tracks them, and masks the rest."""

    attention: np.ndarray  # of all heads, (H, W, 3)
    assignment: np.ndarray  # before and after Sinkhorn-Knopp, (H, W, 3)
    tracks: Columns
    views: Columns  # that the student sees


@torch.no_grad()
def draw_objects(model: nn.Module, frames: np.ndarray) -> ObjectPictures:
    """Draw how DoRA, in evaluation mode, tracks objects; frames ``(T, H, W, 3)`` of whole patches.

    The assignment before Sinkhorn-Knopp is the softmax over objects of a patch's scores divided by
    ``epsilon``: the result without the constraint that objects get equal shares.

    Raises:
        ValueError: if the model does not track.
    """
    if not hasattr(model, 'track'):
        raise ValueError(f'{type(model).__name__} does not track objects, as DoRA does; use pca')
    clip, tracker = _normalized(model, to_clip(frames)[None]), model.tracker
    tokens = model.teacher.backbone.forward_tokens(clip, tracker.block)
    found = tracker(tokens)
    scores = tracker.compare(tokens, found.prototypes)[1] / tracker.epsilon
    before = _array(scores[0].softmax(dim=-1).T.unflatten(1, tokens.grid))
    after = None
    if found.assignment is not None:
        after = _array(found.assignment[0].T.unflatten(1, tokens.grid))
    attention = _array(tokens.class_attention[0].unflatten(1, tokens.grid))
    seen, fill = model.student_masks(found.masks), model.data_preprocessor.mean
    shown = _magnify(frames)
    return ObjectPictures(
        attention_sheet(shown[0], attention, found.heads),
        assignment_sheet(shown[0], before, after),
        track_columns(shown, _array(found.maps[:, 0]), _array(found.masks[:, 0])),
        view_columns(shown, _array(seen[:, 0]), _array(fill.flatten())),
    )


def draw_masks(cfg: Config, num: int, seed: int = 0) -> Tensor:
    """Draw ``num`` masks ``(num, t, h, w)`` with the masking transform of a training config.

    Raises:
        ValueError: if its training pipeline has none.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    masks = [step for step in dataset.get('pipeline', ()) if str(step['type']).endswith('Mask')]
    if not masks:
        raise ValueError(
            f'no mask in train_dataloader.dataset.pipeline of {cfg.filename or "the config"}; '
            'give the config that the model was trained with'
        )
    transform, rng = TRANSFORMS.build(masks[0]), np.random.default_rng(seed)
    return torch.from_numpy(np.stack([transform.draw(rng) for _ in range(num)]))


@torch.no_grad()
def draw_predictions(model: nn.Module, frames: np.ndarray, cfg: Config, seed: int = 0) -> Columns:
    """Draw what MaskFeat, in evaluation mode, predicts in clips masked as in training.

    Args:
        model: MaskFeat.
        frames: ``(T, H, W, 3)`` uint8 RGB, a clip of the model or several.
        cfg: Config it was trained with, whose masking transform ``seed`` seeds.

    Returns:
        As :func:`draw_targets`, of the target frames of all clips, one after another.

    Raises:
        ValueError: if the model is no MaskFeat, has other targets, or ``cfg`` has no mask.
    """
    check_draws_targets(model)
    clip_len = FeatureExtractor(model).clip_len or 1
    clips = to_clip(frames).unflatten(1, (-1, clip_len)).transpose(0, 1)
    clip, mask = _normalized(model, clips), draw_masks(cfg, len(clips), seed)
    pred, grid = model.predict(clip, mask)
    pred = model.head.activate(pred.flatten(0, 1)).reshape_as(pred)
    columns = draw_targets(model, clip, mask, pred, model.target_generator(clip), grid)
    return {name: pictures.reshape(-1, *pictures.shape[2:]) for name, pictures in columns.items()}


def check_draws_targets(model: nn.Module, checkpoint: str | os.PathLike | None = None) -> None:
    """Refuse a model that :func:`draw_targets` cannot draw.

    Raises:
        ValueError: if it is not MaskFeat, has other targets, or its checkpoint has no projection.
    """
    if not isinstance(model, MaskFeat):
        use = 'objects or pca' if hasattr(model, 'track') else 'pca'
        raise ValueError(f'{type(model).__name__} has no predictions, as MaskFeat has; use {use}')
    if type(model.target_generator) not in DRAWN:
        raise ValueError(
            f'targets of {type(model.target_generator).__name__} cannot be drawn; those of '
            f'{", ".join(kind.__name__ for kind in DRAWN)} can'
        )
    if checkpoint and not any(name.startswith('neck.') for name in load_weights(checkpoint)):
        raise ValueError(
            f'{checkpoint} has no projection (neck), which predicts; give a checkpoint of the run'
        )


def draw_targets(
    model: nn.Module, clip: Tensor, mask: Tensor, pred: Tensor, target: Tensor, grid: Grid
) -> Columns:
    """Draw the ``T`` target frames of clips: pictures ``(B, T, H, W, 3)`` uint8, by title.

    ``'frame'``; ``'masked'``: the same with masked cells grey; ``'predicted ...'``: predictions in
    masked cells, the true target, dimmed, elsewhere; ``'true ...'``. HOG is drawn as strokes along
    edges, predicted ones in yellow; codes each in a colour of its own; features by their three
    principal components, in one basis for both.

    Args:
        model: MaskFeat.
        clip: ``(B, 3, T', H', W')``, normalised.
        mask: ``(B, t, h, w)``.
        pred: ``(B, N, Q)`` predicted targets of all tokens.
        target: ``(B, N, Q')`` true ones.
        grid: ``(t, h, w)`` of the tokens.
    """
    generator = model.target_generator
    name, draw = DRAWN[type(generator)]
    guess, true = draw(model, clip, pred, target, grid)
    stride = generator.temporal_stride // generator.num_target_frames
    shown = _pixels(model, target_frames(clip, stride).movedim(2, -1))
    size = true.shape[2:4]
    frames = np.stack([resize_to_patches(x, (1, 1), min(size)) for x in shown])
    hidden = resize_mask(mask.cpu(), true.shape[1:4]).numpy()[..., None]
    return {
        'frame': frames,
        'masked': np.where(hidden, np.uint8(GREY), frames),
        f'predicted {name}': np.where(hidden, guess, (DIMMED * true).round().astype(np.uint8)),
        f'true {name}': true,
    }


def _draw_hog(model, clip, pred, target, grid) -> list[np.ndarray]:
    generator, pictures = model.target_generator, []
    for histograms, colour in ((pred, PALETTE[4]), (target, (255, 255, 255))):
        cells = generator.as_cells(histograms, grid).mean(dim=2).movedim(2, -1)  # over colours
        size = min(16, max(8, 256 // cells.shape[3]))
        strokes = draw_hog(_array(cells.flatten(0, 1)), size, generator.signed)[..., None]
        tinted = (strokes * (np.array(colour) / 255)).round().astype(np.uint8)
        pictures.append(tinted.reshape(*cells.shape[:2], *tinted.shape[1:]))
    return pictures


def _draw_pixels(model, clip, pred, target, grid) -> list[np.ndarray]:
    generator = model.target_generator
    if generator.normalize == 'patch':  # a prediction gets the true mean and variance, as MAE's
        pred, target = (_denormalized(generator, clip, x) for x in (pred, target))
    side, pictures = generator.patch_size, []
    for pixels in (pred, target):
        # (B, t, h, w, frame, row, column, C) -> (B, t, frame, h, row, w, column, C)
        places = pixels.unflatten(2, (-1, side, side, 3)).unflatten(1, grid)
        places = places.permute(0, 1, 4, 2, 5, 3, 6, 7)
        pictures.append(_pixels(model, places.flatten(5, 6).flatten(3, 4).flatten(1, 2)))
    return pictures


def _draw_codes(model, clip, pred, target, grid) -> list[np.ndarray]:
    colours = np.random.default_rng(0).integers(256, size=(pred.shape[-1], 3), dtype=np.uint8)
    codes = (pred.argmax(dim=-1), target[..., 0])
    return [_tiles(model, colours[_array(x.unflatten(1, grid)).astype(int)]) for x in codes]


def _draw_features(model, clip, pred, target, grid) -> list[np.ndarray]:
    both = torch.stack((pred, target)).unflatten(2, grid)
    colours = pca_colours([_array(both.flatten(0, 2))])[0].reshape(*both.shape[:-1], 3)
    return [_tiles(model, colour) for colour in colours]


def _tiles(model: nn.Module, colours: np.ndarray) -> np.ndarray:
    side = model.target_generator.patch_size
    return colours.repeat(side, axis=2).repeat(side, axis=3)


DRAWN = {
    HOGGenerator: ('HOG', _draw_hog),
    PixelGenerator: ('pixels', _draw_pixels),
    DiscreteTokenGenerator: ('codes', _draw_codes),
    DeepFeatureGenerator: ('features', _draw_features),
}


def _denormalized(generator: PixelGenerator, clip: Tensor, target: Tensor) -> Tensor:
    frames = 'all' if generator.num_target_frames > 1 else 'center'
    raw = PixelGenerator(
        patch_size=generator.patch_size, temporal_stride=generator.temporal_stride, frames=frames
    )(clip)
    raw, target = (x.unflatten(2, (generator.num_target_frames, -1)) for x in (raw, target))
    variance, mean = torch.var_mean(raw, dim=-1, keepdim=True)
    return (target * (variance + 1e-6).sqrt() + mean).flatten(2)


def _pixels(model: nn.Module, normalized: Tensor) -> np.ndarray:
    """Undo the normalisation of pixels ``(..., 3)``; uint8 RGB."""
    preprocessor = model.data_preprocessor
    pixels = normalized * preprocessor.std.flatten() + preprocessor.mean.flatten()
    return _array(pixels.clamp(0, 255).round()).astype(np.uint8)


def _normalized(model: nn.Module, clips: Tensor) -> Tensor:
    return model.data_preprocessor(dict(inputs=dict(clip=list(clips))))['inputs']['clip']


def _array(tensor: Tensor) -> np.ndarray:
    return (tensor if tensor.dtype == torch.bool else tensor.float()).cpu().numpy()


@torch.no_grad()
def patch_features(model: nn.Module, frames: np.ndarray) -> np.ndarray:
    """Patch features ``(t, h, w, D)`` of frames ``(T, H, W, 3)``, which may be several clips.

    ``t`` is ``T`` for a backbone of frames, and all time steps of the clips for one of clips.
    """
    encoder = FeatureExtractor(model, pool='none')
    encoder.to(next(encoder.backbone.parameters()).device)
    pixels = to_clip(frames).transpose(0, 1)
    if encoder.clip_len is not None:
        pixels = pixels.unflatten(0, (-1, encoder.clip_len)).transpose(1, 2)
    pixels = pixels.to(encoder.mean.device)
    found = _array(encoder.predict([pixels], [VidSSLDataSample()])[0].features)
    return found.reshape(-1, *found.shape[-3:])


def draw_features(
    models: Mapping[str, nn.Module], frames: np.ndarray, foreground: bool = False
) -> Columns:
    """Draw patch features in PCA colours, by the models' names, and the frames ``(T, H, W, 3)``.

    See :func:`mmvidssl.visualization.pca_colours`, also for ``foreground``.
    """
    features = [patch_features(model, frames) for model in models.values()]
    shown = _magnify(frames)[:: len(frames) // len(features[0])]
    colours = zip(models, pca_colours(features, foreground), strict=True)
    size = shown.shape[1:3]
    return {'frame': shown} | {name: np.stack([enlarge(m, size) for m in x]) for name, x in colours}
