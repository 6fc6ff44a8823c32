"""Packing the results of a pipeline into inputs and a data sample."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS
from mmvidssl.structures import VidSSLDataSample


@TRANSFORMS.register_module()
class PackClipInputs(BaseTransform):
    """Turn clips into tensors and the rest into a data sample.

    Pixels stay uint8; the data preprocessor normalises them on the device.

    **Required Keys:** clip, or what :class:`ClipMultiCrop` adds; ``mask`` (bool ``(t, h, w)``) and
    the ``meta_keys`` that are there

    **Added Keys:**

    - inputs (dict: either ``clip``, or ``global_clip``, ``local_clips`` and, with two global views,
      ``extra_global_clips``; each clip a uint8 tensor ``(C, T, H, W)``)
    - data_samples (:class:`VidSSLDataSample`; its ``mask`` is a bool tensor ``(t, h, w)``)

    **Deleted Keys:** all others

    Args:
        meta_keys: What to keep as meta information; a key that is not there is left out.
            ``decode_failures``, which a data set adds when a video cannot be read, is always kept.
        as_frames: Whether inputs are the frames of ``clip`` alone, ``(T, C, H, W)``, as
            ``FrozenEncoder`` takes them.
    """

    INPUT_KEYS = ('clip', 'global_clip', 'local_clips', 'extra_global_clips')

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'video_path',
            'video_index',
            'frame_inds',
            'fps',
            'img_path',
            'label',
        ),
        as_frames: bool = False,
    ) -> None:
        self.meta_keys = (*meta_keys, 'decode_failures')
        self.as_frames = as_frames

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        inputs = {key: _to_tensors(results[key]) for key in self.INPUT_KEYS if key in results}
        if not inputs:
            raise KeyError(
                f'PackClipInputs needs one of {self.INPUT_KEYS}, the results hold {list(results)}; '
                'put DecodeClip, SampleClip or LoadImageClip before it'
            )
        meta = {key: results[key] for key in self.meta_keys if key in results}
        meta = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in meta.items()}
        sample = VidSSLDataSample(metainfo=meta)
        if 'mask' in results:
            sample.mask = torch.from_numpy(np.ascontiguousarray(results['mask']))
        if self.as_frames:
            frames = torch.as_tensor(inputs['clip']).transpose(0, 1)
            return dict(inputs=frames, data_samples=sample)
        return dict(inputs=inputs, data_samples=sample)


@TRANSFORMS.register_module()
class SetKeys(BaseTransform):
    """Add constant values to every sample: ``dict(type='SetKeys', split='train')``.

    **Added Keys:** those of ``values``

    Args:
        **values: Values by key. To reach the data sample, keys must be among the ``meta_keys`` of
            the transform that packs it.
    """

    def __init__(self, **values) -> None:
        self.values = values

    def transform(self, results: dict) -> dict:
        """Add the values to one sample."""
        return {**results, **self.values}


def _to_tensors(clips: np.ndarray | list[np.ndarray]) -> torch.Tensor | list[torch.Tensor]:
    if isinstance(clips, list):
        return [clip_to_tensor(clip) for clip in clips]
    return clip_to_tensor(clips)


def clip_to_tensor(clip: np.ndarray) -> torch.Tensor:
    """``(T, H, W, 3)`` uint8 to a contiguous tensor ``(3, T, H, W)``."""
    frames, height, width, channels = clip.shape
    planes = np.empty((channels, frames * height, width), dtype=clip.dtype)
    # OpenCV separates the channels some ten times faster than a strided copy.
    cv2.split(np.ascontiguousarray(clip).reshape(frames * height, width, channels), list(planes))
    return torch.from_numpy(planes).view(channels, frames, height, width)
