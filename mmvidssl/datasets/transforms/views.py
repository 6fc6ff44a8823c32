"""Transforms that make several views, or several samples, of one clip."""

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import pseudo_collate

from mmvidssl.registry import FUNCTIONS, TRANSFORMS

from .base import build_transforms, generator_of


@TRANSFORMS.register_module()
class ClipMultiCrop(BaseTransform):
    """Multi-crop: global and local views of one clip, each with a random generator of its own.

    **Required Keys:** clip; rng is optional (:func:`generator_of`)

    **Added Keys:**

    - global_clip (uint8 ``(T, H, W, 3)``)
    - local_clips (list of ``num_local_views`` uint8 ``(T, h, w, 3)``)
    - extra_global_clips (list of one; only with two global views)

    **Deleted Keys:** clip

    Args:
        global_transforms: Transforms of the global view.
        local_transforms: Transforms of each local view.
        num_local_views: How many local views.
        num_global_views: 1 (DoRA) or 2 (DINO).
        extra_global_transforms: Transforms of the second global view; the first's if ``None``.
    """

    def __init__(
        self,
        global_transforms: Sequence[dict | Callable],
        local_transforms: Sequence[dict | Callable] = (),
        num_local_views: int = 6,
        num_global_views: int = 1,
        extra_global_transforms: Sequence[dict | Callable] | None = None,
    ) -> None:
        if num_global_views not in (1, 2):
            raise ValueError(f'num_global_views must be 1 or 2, got {num_global_views}')
        if num_local_views < 0:
            raise ValueError(f'num_local_views must be at least 0, got {num_local_views}')
        if extra_global_transforms is not None and num_global_views == 1:
            raise ValueError('extra_global_transforms need num_global_views=2, got 1')
        self.num_local_views = num_local_views
        self.num_global_views = num_global_views
        self.global_transforms = build_transforms(global_transforms)
        self.local_transforms = build_transforms(local_transforms)
        self.extra_global_transforms = (
            self.global_transforms
            if extra_global_transforms is None
            else build_transforms(extra_global_transforms)
        )

    def transform(self, results: dict) -> dict:
        """Replace ``clip`` by the views."""
        clip = results.pop('clip')
        rngs = iter(generator_of(results).spawn(self.num_global_views + self.num_local_views))
        results['global_clip'] = self._view(results, clip, next(rngs), self.global_transforms)
        if self.num_global_views == 2:
            extra = self._view(results, clip, next(rngs), self.extra_global_transforms)
            results['extra_global_clips'] = [extra]
        results['local_clips'] = [
            self._view(results, clip, rng, self.local_transforms) for rng in rngs
        ]
        return results

    def _view(
        self,
        results: dict,
        clip: np.ndarray,
        rng: np.random.Generator,
        transforms: Sequence[Callable],
    ) -> np.ndarray:
        view = dict(results, clip=clip, rng=rng)
        for transform in transforms:
            view = transform(view)
        return view['clip']


@TRANSFORMS.register_module()
class RepeatAugment(BaseTransform):
    """Repeated augmentation: decode once, make several augmented samples.

    The last transform of a pipeline. Each repeat has a random generator of its own, and so its own
    crop, flip and mask. With ``SampleClip`` before it, all repeats have the same frames
    (PySlowFast's ``AUG.NUM_SAMPLE``); with ``SampleClip`` among its transforms, each has its own
    clip of the video, which is opened once (``DATA.TRAIN_CROP_NUM_TEMPORAL``).

    The data loader needs ``collate_fn=dict(type='mmvidssl.flat_collate')``; a batch then has
    ``batch_size * num_repeats`` samples, those of one video side by side. MMEngine scales learning
    rates by ``batch_size`` alone: divide ``auto_scale_lr.base_batch_size`` by ``num_repeats``.

    **Required Keys:** what the transforms require

    Args:
        transforms: What is done for each repeat, up to :class:`PackClipInputs`.
        num_repeats: How many samples.
    """

    def __init__(self, transforms: Sequence[dict | Callable], num_repeats: int = 2) -> None:
        if num_repeats < 1:
            raise ValueError(f'num_repeats must be at least 1, got {num_repeats}')
        self.transforms = build_transforms(transforms)
        self.num_repeats = num_repeats

    def transform(self, results: dict) -> list[dict]:  # type: ignore[override]
        """The samples."""
        samples = []
        for rng in generator_of(results).spawn(self.num_repeats):
            sample = dict(results, rng=rng)
            for transform in self.transforms:
                sample = transform(sample)
            samples.append(sample)
        return samples


@FUNCTIONS.register_module()
def flat_collate(data_batch: Sequence, _scope_: str | None = None) -> dict:
    """MMEngine's ``pseudo_collate`` for data sets whose items are samples or lists of samples.

    Lists, which :class:`RepeatAugment` and mmaction2's ``RepeatAugDataset`` give, are strung
    together. ``_scope_`` changes nothing: mmengine 0.10 passes it where the config's base is one
    of another package (``_base_ = 'mmvidssl::...'``).
    """
    samples: list[dict] = []
    for item in data_batch:
        samples.extend(item if isinstance(item, list) else [item])
    return pseudo_collate(samples)
