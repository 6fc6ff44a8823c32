"""Readers that cannot hang or crash the process that uses them."""

import os
from typing import Any

import numpy as np

from .base import VideoReader
from .decoder_process import DecoderProcess
from .decoder_server import Request
from .errors import DecoderDiedError, DecodeTimeoutError
from .file_stamp import FileStamp
from .reader_cache import ReaderCache, check_max_open

DEFAULT_TIMEOUT = 120.0
"""Seconds. Opening an hour of 4K that is not in memory takes 25 s, decoding a clip of it up to 15 s
of one core, which workers may have to share."""


class GuardedReaders:
    """A :class:`ReaderCache` in a process of its own, under a deadline.

    The process (:class:`DecoderProcess`) is forked with the first request. One that takes longer
    than ``timeout`` is killed; after that, or after a crash, the next request forks another, which
    opens its videos anew. Forked and pickled copies have none and fork their own.

    Args:
        max_open: How many videos stay open; the least recently used one is closed.
        timeout: Seconds until the answer to a request must be there.
    """

    def __init__(self, max_open: int = 4, timeout: float = DEFAULT_TIMEOUT) -> None:
        if not timeout > 0:
            raise ValueError(
                f'timeout must be positive seconds, or None to decode unguarded, got {timeout}'
            )
        self.max_open, self.timeout = check_max_open(max_open), timeout
        self._decoder: DecoderProcess | None = None
        self._num_reopened = 0

    def __len__(self) -> int:
        decoder = self._own_decoder()
        return decoder.num_open if decoder else 0

    @property
    def num_reopened(self) -> int:
        """How often this process opened a video again that had been closed for another."""
        decoder = self._own_decoder()
        return self._num_reopened + (decoder.num_reopened if decoder else 0)

    def get(self, path: str, reader: dict, stamp: FileStamp | None = None) -> VideoReader:
        """The reader of ``path``, opened with the config ``reader`` if it was not.

        Args:
            path: The video file.
            reader: Config of the reader, without the path.
            stamp: What the file must be like; by default, as it is now and then stays.

        Raises:
            VideoError: what the reader raises when built; the file does not have the ``stamp``.
            DecodeTimeoutError, DecoderDiedError: it stalls, or crashes the decoder.
        """
        now = self.ask(Request(path, reader, stamp, 'open'))
        return GuardedReader(self, path, reader, FileStamp(*now) if now else None)

    def forget(self, path: str) -> None:
        """Close a video that is done with; it does not count as closed for another."""
        if self._own_decoder() is not None:
            try:
                self.ask(Request(path, {}, None, 'forget'))
            except (DecodeTimeoutError, DecoderDiedError):
                return  # and with the decoder went all that it had open

    def close(self) -> None:
        """Close every video and end the decoder of this process."""
        self._drop(self._own_decoder())

    def ask(self, request: Request) -> Any:
        """See :meth:`DecoderProcess.ask`."""
        decoder = self._own_decoder()
        if decoder is None:
            decoder = self._decoder = DecoderProcess(self.max_open)
        try:
            return decoder.ask(request, self.timeout)
        finally:
            if not decoder.is_alive:
                self._drop(decoder)

    def _own_decoder(self) -> DecoderProcess | None:
        """This process's decoder, if it has one; that of a parent is let go."""
        if self._decoder is not None and self._decoder.owner != os.getpid():
            self._decoder.end()
            self._decoder, self._num_reopened = None, 0
        return self._decoder

    def _drop(self, decoder: DecoderProcess | None) -> None:
        if decoder is not None:
            decoder.end()
            self._num_reopened += decoder.num_reopened
            self._decoder = None

    def __getstate__(self) -> dict:
        return {'max_open': self.max_open, 'timeout': self.timeout}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]


class GuardedReader:
    """A :class:`VideoReader` whose work is done by the decoder of :class:`GuardedReaders`.

    It refuses to go on when the file was deleted, replaced or written to since it was made. It
    holds nothing open itself: closed for another video, it is opened again when asked.
    """

    def __init__(
        self, readers: GuardedReaders, path: str, reader: dict, stamp: FileStamp | None
    ) -> None:
        self._readers, self.path, self._reader, self._stamp = readers, path, reader, stamp

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self._ask('num_frames')

    @property
    def fps(self) -> float:
        """Average number of frames per second."""
        return self._ask('fps')

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds, float64 ``(num_frames,)``."""
        return self._ask('timestamps')

    def get_frames(
        self,
        indices: np.ndarray | None = None,
        short_side: int | None = None,
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """See :class:`VideoReader`."""
        return self._ask('get_frames', indices=indices, short_side=short_side, times=times)

    def close(self) -> None:
        """Close the video."""
        self._readers.forget(self.path)

    def _ask(self, what: str, **kwargs: Any) -> Any:
        return self._readers.ask(Request(self.path, self._reader, self._stamp, what, kwargs))


Readers = ReaderCache | GuardedReaders


def build_readers(max_open: int = 4, timeout: float | None = DEFAULT_TIMEOUT) -> Readers:
    """Readers under a deadline of ``timeout`` seconds; without one (None), in this process.

    Systems that cannot fork (Windows) decode in this process as well.
    """
    if timeout is None or not hasattr(os, 'fork'):
        return ReaderCache(max_open)
    return GuardedReaders(max_open, timeout)
