"""Reading with decord."""

from typing import Any

import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import check_frame_inds, check_video_file, shrink_frame
from .errors import EmptyVideoError, UndecodableVideoError


@VIDEO_READERS.register_module()
class DecordReader:
    """Frame-accurate reading with decord 0.6.

    Opening reads every packet of the file once (seconds for an hour of video, much longer when the
    file is not in the page cache), so keep readers open: see :class:`ReaderCache`. Frames are
    shrunk after decoding: decord's own ``width``/``height`` saves little time and would need one
    open decoder a size.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.
    """

    def __init__(self, path: str, num_threads: int = 1) -> None:
        check_video_file(path)
        self.path = str(path)
        self.num_threads = num_threads
        self._decoder: Any = None

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self._open())

    @property
    def fps(self) -> float:
        """Average number of frames per second."""
        return float(self._open().get_avg_fps())

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds, float64 ``(num_frames,)``; decord keeps float32, 1 ms exact after 3 hours."""
        decoder = self._open()
        return decoder.get_frame_timestamp(range(len(decoder)))[:, 0].astype(np.float64)

    def get_frames(self, indices: np.ndarray, short_side: int | None = None) -> np.ndarray:
        """Decode frames ``(T,)`` to uint8 RGB ``(T, H, W, 3)``, each distinct frame once."""
        from decord._ffi.base import DECORDError

        decoder = self._open()
        inds = check_frame_inds(indices, len(decoder), self.path)
        wanted, where = np.unique(inds, return_inverse=True)
        try:
            # One at a time: a batch of whole 4K frames would be held before it is shrunk.
            frames = [shrink_frame(_decode(decoder, int(i)), short_side) for i in wanted]
        except (DECORDError, RuntimeError, IndexError) as error:
            self.close()  # a decoder that failed may be left at the wrong frame
            raise UndecodableVideoError(
                f'cannot decode frames {inds.tolist()} of {self.path}: {_first_line(error)}'
            ) from error
        return np.stack([frames[i] for i in where])

    def close(self) -> None:
        """Free the decoder."""
        self._decoder = None

    def _open(self) -> Any:
        if self._decoder is None:
            self._decoder = self._build()
        return self._decoder

    def _build(self) -> Any:
        import decord
        from decord._ffi.base import DECORDError

        try:
            decoder = decord.VideoReader(self.path, num_threads=self.num_threads)
        # decord asserts that there are frames
        except (DECORDError, RuntimeError, AssertionError) as error:
            raise UndecodableVideoError(
                f'decord cannot open {self.path} (not a video, cut off, or an unknown codec): '
                f'{_first_line(error)}'
            ) from error
        if len(decoder) == 0:
            raise EmptyVideoError(f'the video has no frames: {self.path}')
        return decoder


def _decode(decoder: Any, index: int) -> np.ndarray:
    """One frame, uint8 RGB ``(H, W, 3)``.

    decord 0.6 takes the padding at the end of each line of some frames narrower than 64 pixels for
    further channels.
    """
    frame = decoder[index].asnumpy()
    height, width = frame.shape[:2]
    return frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
