"""What the backends that decode a video file share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np

from .base import check_frame_inds, check_video_file, first_line, nearest_frames
from .errors import UndecodableVideoError, VideoError, class_of_decoder_error
from .index_cache import load_index
from .video_index import VideoIndex


class IndexedReader(ABC):
    """A backend: opens when asked, decodes each distinct frame once, closes after an error.

    Which frames there are, and when, comes from :func:`load_index`, so that all backends agree.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.
    """

    def __init__(self, path: str, num_threads: int = 1) -> None:
        check_video_file(path)
        self.path = str(path)
        self.num_threads = num_threads
        self._decoder: Any = None
        self._index: VideoIndex | None = None

    @property
    def index(self) -> VideoIndex:
        """The frames of the video."""
        if self._index is None:
            self._index = load_index(self.path)
        return self._index

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.index.pts)

    @property
    def fps(self) -> float:
        """Average number of frames per second."""
        return self.index.fps

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds, float64 ``(num_frames,)``, as exact as the file says them."""
        return self.index.timestamps

    @property
    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """What the library raises where a file cannot be read."""

    @abstractmethod
    def _build(self) -> Any:
        """Open the file; what is returned is kept as the decoder."""

    @abstractmethod
    def _decode(self, decoder: Any, wanted: np.ndarray, short_side: int | None) -> Iterable:
        """Frames ``(H, W, 3)`` of ascending numbers ``wanted``, none twice."""

    def get_frames(
        self,
        indices: np.ndarray | None = None,
        short_side: int | None = None,
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """See :class:`VideoReader`."""
        if (indices is None) == (times is None):
            raise ValueError('get_frames needs either indices or times')
        if indices is None:
            indices = nearest_frames(self.timestamps, np.asarray(times, dtype=np.float64))
        inds = check_frame_inds(indices, self.num_frames, self.path)
        wanted, where = np.unique(inds, return_inverse=True)
        frames: np.ndarray | None = None  # filled as they come: whole 4K frames fit only once
        for number, frame in enumerate(self.iter_frames(wanted, short_side)):
            if frames is None:
                frames = np.empty((len(inds), *frame.shape), dtype=np.uint8)
            if frame.shape != frames.shape[1:]:
                self.close()
                raise UndecodableVideoError(
                    f'frames {describe_range(wanted)} of {self.path} have several sizes; encode it '
                    'anew'
                )
            frames[where == number] = frame
        assert frames is not None
        return frames

    def iter_frames(
        self, wanted: np.ndarray, short_side: int | None = None
    ) -> Iterator[np.ndarray]:
        """Frames one after another, each decoded when it is asked for.

        Args:
            wanted: Frame numbers ``(T,)`` of the video, increasing.
            short_side: As in :meth:`get_frames`.

        Yields:
            uint8 RGB ``(H, W, 3)``, upright.

        Raises:
            UndecodableVideoError: a frame cannot be decoded.
        """
        try:
            yield from self._decode(self._open(), wanted, short_side)
        except self.errors as error:
            self.close()  # a decoder that failed may be left at the wrong frame
            raise class_of_decoder_error(error, self.path)(
                f'cannot decode frames {describe_range(wanted)} of {self.path}: {first_line(error)}'
            ) from error
        except VideoError:
            self.close()
            raise

    def close(self) -> None:
        """Free the decoder and the index."""
        self._decoder = self._index = None

    def _refuse(self, what: str) -> NoReturn:
        """Refuse a kind of file of which the library gives wrong frames without an error."""
        raise UndecodableVideoError(
            f'{type(self).__name__} may give wrong frames of {self.path}, {what}; use '
            "reader=dict(type='PyAVReader')"
        )

    def _open(self) -> Any:
        if self._decoder is None:
            _ = self.index  # which says best what is wrong with a file
            try:
                self._decoder = self._build()
            except self.errors as error:
                raise class_of_decoder_error(error, self.path)(
                    f'{type(self).__name__} cannot open {self.path} (not a video, cut off, or an '
                    f'unknown codec): {first_line(error)}'
                ) from error
        return self._decoder


def describe_range(numbers: np.ndarray) -> str:
    """Increasing frame numbers for a message."""
    return f'{numbers[0]}..{numbers[-1]}' if len(numbers) > 8 else str(numbers.tolist())
