"""Several samples from frames that were decoded together."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from .base import build_transforms, without_counts


@TRANSFORMS.register_module()
class SplitClips(BaseTransform):
    """Cut a group of clips out of the frames of them all, and transform each by itself.

    The last transform of a pipeline. ``LongVideoDataset(clips_per_seek=...)`` puts it behind
    :class:`DecodeClip`, around what follows. The data loader needs
    ``collate_fn=dict(type='mmvidssl.flat_collate')``.

    **Required Keys:** clip and frame_inds (of the group: each frame once, ascending), clips (a dict
    for each clip, whose keys replace the group's: its own frame_inds and rng)

    Args:
        transforms: What is done for each clip, up to :class:`PackClipInputs`.
    """

    def __init__(self, transforms: Sequence[dict | Callable]) -> None:
        self.transforms = build_transforms(transforms)

    def transform(self, results: dict) -> list[dict]:  # type: ignore[override]
        """The samples."""
        group = {key: value for key, value in results.items() if key != 'clips'}
        samples: list[dict] = []
        for own in results['clips']:
            rows = np.searchsorted(results['frame_inds'], own['frame_inds'])
            sample: Any = dict(group, **own, clip=results['clip'][rows])
            if samples:
                sample = without_counts(sample)
            for transform in self.transforms:
                sample = transform(sample)
            samples.extend(sample if isinstance(sample, list) else [sample])
        return samples
