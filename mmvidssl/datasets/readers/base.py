"""The :class:`VideoReader` protocol, and the base class of the readers."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Protocol

import cv2
import numpy as np

from .errors import (
    EmptyVideoError,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
    check_is_local,
    class_of_decoder_error,
    class_of_system_error,
    describe_start,
    first_line,
)
from .stream import Turn, turn_of, video_streams
from .video_index import VideoIndex, decode, is_keyframe, load_index, open_video

PROXY_SUFFIX = '.proxy.mp4'
OLD_PROXY_SUFFIX = '.frames'


class VideoReader(Protocol):
    """One video file with random access to its frames.

    A reader takes the path first, raises :class:`VideoNotFoundError` or :class:`EmptyVideoError`
    when constructed, and opens the file only when it is first used.
    """

    @property
    def num_frames(self) -> int:
        """Number of frames."""

    @property
    def fps(self) -> float:
        """Average number of frames per second."""

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which each frame is shown, float64 ``(num_frames,)``, never decreasing."""

    def get_frames(
        self,
        indices: np.ndarray | None = None,
        short_side: int | None = None,
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """Decode frames, given by number or by time.

        Args:
            indices: Frame numbers ``(T,)``, in any order, repeats allowed.
            short_side: Shrink frames whose shorter side is longer than this many pixels.
            times: Seconds ``(T,)`` in place of ``indices``; the nearest frames are taken.

        Returns:
            uint8 RGB ``(T, H, W, 3)``, upright.

        Raises:
            IndexError: a frame number outside the video.
            UndecodableVideoError: a frame cannot be decoded.
        """

    def close(self) -> None:
        """Free the file and the decoder; the next request opens them again."""


def is_proxy(path: str | os.PathLike) -> bool:
    """Whether a file is a proxy, by its name."""
    return os.fspath(path).lower().endswith(PROXY_SUFFIX)


def check_video_file(path: str) -> None:
    """Refuse a path that cannot be a video, by its kind, its size and its first bytes.

    Raises:
        VideoError: it is a URL, missing, empty, no file, not accessible, a web page or Git-LFS
            pointer saved under the video's name, or a proxy of an older version.
    """
    file = Path(path)
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        check_is_local(path)
        raise VideoNotFoundError(f'no such video: {path} (checked {file.absolute()})') from error
    except (OSError, ValueError) as error:  # a folder without permission, a lost disk
        raise class_of_system_error(error)(
            f'cannot access {path}: {getattr(error, "strerror", None) or error}'
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise VideoError(f'a video must be a file, but this is not one: {path}')
    if found.st_size == 0:
        raise EmptyVideoError(f'the video has 0 bytes, get it again: {path}')
    what = describe_start(_first_bytes(path))
    if what:
        raise UndecodableVideoError(f'{path} is no video, but {what}')
    if file.suffix == OLD_PROXY_SUFFIX:
        raise UndecodableVideoError(
            f'{path} is a proxy of an older mmvidssl, which this one does not read; make it anew: '
            'python tools/datasets/make_proxy.py VIDEO --out FOLDER'
        )


def _first_bytes(path: str) -> bytes:
    try:
        with open(path, 'rb') as file:
            return file.read(64)
    except OSError:  # the decoder will report it
        return b''


def check_frame_inds(indices: np.ndarray, num_frames: int, path: str) -> np.ndarray:
    """Check frame numbers: int64 ``(T,)``, all in ``[0, num_frames)``."""
    inds = np.asarray(indices, dtype=np.int64)
    if inds.ndim != 1 or inds.size == 0:
        raise ValueError(f'frame numbers must be a non-empty 1-D array, got shape {inds.shape}')
    if inds.min() < 0 or inds.max() >= num_frames:
        raise IndexError(
            f'frames {inds.min()}..{inds.max()} do not exist in {path}, '
            f'which has frames 0..{num_frames - 1}'
        )
    return inds


def nearest_frames(timestamps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Numbers int64 ``(T,)`` of the frames nearest to ``times``; of two equally near, the earlier.

    Args:
        timestamps: Seconds of each frame ``(num_frames,)``, never decreasing.
        times: Seconds ``(T,)``.
    """
    last = len(timestamps) - 1
    after = np.searchsorted(timestamps, times).clip(min(1, last), last)
    before = np.maximum(after - 1, 0)
    nearer_before = times - timestamps[before] <= timestamps[after] - times
    return np.where(nearer_before, before, after).astype(np.int64)


def shrunk_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width after shrinking the shorter side to ``short_side``, if it is longer."""
    if short_side is None or min(height, width) <= short_side:
        return height, width
    ratio = short_side / min(height, width)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def shrink_frame(frame: np.ndarray, short_side: int | None) -> np.ndarray:
    """Shrink ``(H, W, 3)`` to ``short_side`` by area averaging; smaller frames stay as they are."""
    height, width = shrunk_size(frame.shape[0], frame.shape[1], short_side)
    if (height, width) == frame.shape[:2]:
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


class IndexedReader(ABC):
    """Base class of the readers: opens lazily, decodes each frame once, closes after an error.

    Frames and their timestamps come from :func:`load_index`, so that all readers agree on them.

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
        """See :class:`VideoReader`; as exact as the file stores them."""
        return self.index.timestamps

    @property
    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """Exceptions that the decoding library raises for a file it cannot read."""

    @abstractmethod
    def _build(self) -> Any:
        """Open the file and return its decoder, which is kept until :meth:`close`."""

    @abstractmethod
    def _decode(self, decoder: Any, wanted: np.ndarray, short_side: int | None) -> Iterable:
        """Decode frames ``(H, W, 3)``; their numbers ``wanted`` strictly increase."""

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
        frames: np.ndarray | None = None  # filled one by one: two copies of 4K frames may not fit
        for number, frame in enumerate(self.iter_frames(wanted, short_side)):
            if frames is None:
                frames = np.empty((len(inds), *frame.shape), dtype=np.uint8)
            if frame.shape != frames.shape[1:]:
                self.close()
                raise UndecodableVideoError(
                    f'frames {describe_range(wanted)} of {self.path} have several sizes; '
                    're-encode it'
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

    def _look(self) -> tuple[list[int], Turn]:
        """Indices of the video streams, of which the first is read, and how that one is rotated.

        Refuses a file whose second keyframe is not a real one, as in periodic intra-refresh.
        """
        with open_video(self.path) as container:
            streams = video_streams(container)
            context = streams[0].codec_context
            first = next(decode(context, container.demux(streams[0])), None)
            if first is None:
                raise UndecodableVideoError(f'no frame of {self.path} can be decoded; get it again')
            turn = turn_of(first, self.path)
            for key in self.index.key_pts[1:2].tolist():
                container.seek(key, stream=streams[0], backward=True)
                frame = next(decode(context, container.demux(streams[0])), None)
                if frame is None or frame.is_corrupt or not is_keyframe(frame):
                    self._refuse('in which not all keyframes are such (periodic intra-refresh)')
            return [stream.index for stream in streams], turn

    def _check_count(self, num_found: int) -> None:
        """Refuse a file in which the library finds another number of frames than the index."""
        if num_found != self.num_frames:
            self._refuse(f'in which it finds {num_found} frames where there are {self.num_frames}')

    def _refuse(self, what: str) -> NoReturn:
        """Refuse a kind of file for which the library silently gives wrong frames."""
        raise UndecodableVideoError(
            f'{type(self).__name__} may give wrong frames of {self.path}, {what}; use '
            "reader=dict(type='PyAVReader')"
        )

    def _open(self) -> Any:
        if self._decoder is None:
            _ = self.index  # its errors describe a bad file best
            try:
                self._decoder = self._build()
            except self.errors as error:
                raise class_of_decoder_error(error, self.path)(
                    f'{type(self).__name__} cannot open {self.path} (not a video, cut off, or an '
                    f'unknown codec): {first_line(error)}'
                ) from error
        return self._decoder


def describe_range(numbers: np.ndarray) -> str:
    """Format increasing frame numbers for a message."""
    return f'{numbers[0]}..{numbers[-1]}' if len(numbers) > 8 else str(numbers.tolist())
