"""Several samples from one video."""

from collections.abc import Callable, Sequence

from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from .base import build_transforms, generator_of, without_counts


@TRANSFORMS.register_module()
class RepeatAugment(BaseTransform):
    """Repeated augmentation: decode once, make several samples of it.

    The last transform of a pipeline. Each repeat has a random generator of its own, and so its own
    crop, flip and mask. With ``SampleClip`` before it, all repeats have the same frames
    (PySlowFast's ``AUG.NUM_SAMPLE``); with ``SampleClip`` among its transforms, each has its own
    clip of the video, which is opened once (``DATA.TRAIN_CROP_NUM_TEMPORAL``).

    The data loader needs ``collate_fn=dict(type='mmvidssl.flat_collate')``; a batch then has
    ``batch_size * num_repeats`` samples, those of one video side by side. MMEngine scales learning
    rates by ``batch_size`` alone: divide ``auto_scale_lr.base_batch_size`` by ``num_repeats``.

    **Required Keys:** rng, and what the transforms require

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
        samples: list[dict] = []
        for rng in generator_of(results).spawn(self.num_repeats):
            sample = dict(results, rng=rng)
            if samples:
                sample = without_counts(sample)
            for transform in self.transforms:
                sample = transform(sample)
            samples.append(sample)
        return samples
