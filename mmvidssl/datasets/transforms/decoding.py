"""From a path and frame numbers to pixels."""

from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from mmvidssl.registry import TRANSFORMS

from ..readers import ReaderCache

ON_REOPEN = ('warn', 'raise', 'ignore')


@TRANSFORMS.register_module()
class DecodeClip(BaseTransform):
    """Decode a clip, keeping videos open between samples.

    **Required Keys:** video_path, frame_inds, reader

    **Added Keys:** clip (uint8 RGB ``(T, H, W, 3)``)

    Args:
        short_side: Shrink frames whose shorter side is longer than this many pixels by area
            averaging; ``None`` keeps them as they are. It saves memory, and time where many crops
            follow; a single crop of whole 4K frames is faster without.
        max_open: How many videos a worker keeps open; the least recently used one is closed for
            another. Where samples are shuffled over more videos than that, nearly every sample
            opens one again, which takes longer than decoding it: the more, the larger the file.
        on_reopen: What to do when a video is opened again that had been closed for another:
            ``'warn'`` once in each worker, ``'raise'`` or ``'ignore'``.

    Raises:
        ValueError: if an option is impossible; with ``on_reopen='raise'`` also, when decoding, if a
            video had to be opened again.
    """

    def __init__(
        self, short_side: int | None = None, max_open: int = 4, on_reopen: str = 'warn'
    ) -> None:
        if short_side is not None and short_side < 1:
            raise ValueError(f'short_side must be at least 1 pixel or None, got {short_side}')
        if on_reopen not in ON_REOPEN:
            raise ValueError(f'on_reopen must be one of {ON_REOPEN}, got {on_reopen!r}')
        self.short_side = short_side
        self.on_reopen = on_reopen
        self.readers = ReaderCache(max_open)

    def transform(self, results: dict) -> dict:
        """Add ``results['clip']``."""
        num_reopened = self.readers.num_reopened
        reader = self.readers.get(results['video_path'], results['reader'])
        if self.readers.num_reopened > num_reopened:
            self._report_reopening(results['video_path'])
        results['clip'] = reader.get_frames(results['frame_inds'], self.short_side)
        return results

    def _report_reopening(self, path: str) -> None:
        message = (
            f'{path} had to be opened again, because DecodeClip keeps max_open='
            f'{self.readers.max_open} videos open and more are in use. This makes loading slow; '
            'set max_open to the number of videos.'
        )
        if self.on_reopen == 'raise':
            raise ValueError(message)
        if self.on_reopen == 'warn' and self.readers.num_reopened == 1:
            MMLogger.get_current_instance().warning(message)
