"""From a path and frame numbers to pixels."""

from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from ..readers import ReaderCache


@TRANSFORMS.register_module()
class DecodeClip(BaseTransform):
    """Decode a clip, keeping videos open between samples.

    **Required Keys:** video_path, frame_inds, reader

    **Added Keys:** clip (uint8 RGB ``(T, H, W, 3)``)

    Args:
        short_side: Shrink frames whose shorter side is longer than this many pixels by area
            averaging; ``None`` keeps them as they are. It saves memory, and time where many crops
            follow; a single crop of whole 4K frames is faster without.
        max_open: How many videos a worker keeps open.
    """

    def __init__(self, short_side: int | None = None, max_open: int = 4) -> None:
        if short_side is not None and short_side < 1:
            raise ValueError(f'short_side must be at least 1 pixel or None, got {short_side}')
        self.short_side = short_side
        self.readers = ReaderCache(max_open)

    def transform(self, results: dict) -> dict:
        """Add ``results['clip']``."""
        reader = self.readers.get(results['video_path'], results['reader'])
        results['clip'] = reader.get_frames(results['frame_inds'], self.short_side)
        return results
