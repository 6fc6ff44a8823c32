"""Global and local views of one clip."""

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from .base import build_transforms, generator_of


@TRANSFORMS.register_module()
class ClipMultiCrop(BaseTransform):
    """Make every view from the same clip, each with a generator of its own.

    **Required Keys:** clip, rng

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
