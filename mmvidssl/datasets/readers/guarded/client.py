"""Asking a process that decodes, and ending it where it stalls."""

import os
import signal
import threading
import time
import warnings
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ..base import VideoReader
from ..errors import DecoderDiedError, DecodeTimeoutError
from ..reader_cache import FileStamp, ReaderCache, check_max_open
from .server import ArrayAhead, Request, bytes_of, serve

DEFAULT_TIMEOUT = 120.0
"""Seconds. Opening an hour of 4K that is not in memory takes 25 s, decoding a clip of it up to 15 s
of one core, which workers may have to share."""


class GuardedReaders:
    """A :class:`ReaderCache` in a process of its own, under a deadline.

    The process is forked with the first request. One that takes longer than ``timeout`` is killed;
    after that, or after a crash, the next request forks another, which opens its videos anew.
    Forked and pickled copies have none and fork their own.

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
        self._decoder: Decoder | None = None

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
        now = self.ask(Request(path, reader, stamp, 'open', {}))
        return GuardedReader(self, path, reader, now)

    def ask(self, request: Request) -> Any:
        """See :meth:`Decoder.ask`."""
        decoder = self._decoder
        if decoder is None or not decoder.is_ours:
            self.close()
            decoder = self._decoder = Decoder(self.max_open)
        return decoder.ask(request, self.timeout)

    def close(self) -> None:
        """Close every video and end the decoder of this process."""
        if self._decoder is not None:
            self._decoder.end()
            self._decoder = None

    def __reduce__(self) -> tuple:
        return GuardedReaders, (self.max_open, self.timeout)


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
        """Close it, and the other videos of its decoder, by ending that."""
        self._readers.close()

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


class Decoder:
    """A forked process that runs :func:`serve`, and can be killed.

    ``os.fork``, since the daemonic workers of a data loader may not start processes with
    ``multiprocessing``; it costs neither a second start of Python nor the memory of one. The
    process never touches torch or CUDA, and ends with the one that started it.
    """

    def __init__(self, max_open: int) -> None:
        self.owner = os.getpid()
        self.connection, theirs = Pipe()
        # The kernel's signal on the death of a parent comes with the death of the thread that
        # forked: other threads may end long before their process.
        is_main = threading.current_thread() is threading.main_thread()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # Python 3.12: forking with threads
            self.pid = os.fork()
        if self.pid == 0:
            serve(theirs, max_open, parent=self.owner, dies_with_parent=is_main)
        theirs.close()
        self.lock = threading.Lock()
        self.end = weakref.finalize(self, end_process, self.pid, self.owner, self.connection)

    @property
    def is_ours(self) -> bool:
        """Whether this process can ask it."""
        return self.end.alive and self.owner == os.getpid()

    def ask(self, request: Request, timeout: float) -> Any:
        """The answer: a number, a :class:`FileStamp`, or an array.

        Raises:
            DecodeTimeoutError: no answer within ``timeout`` seconds; the process is killed.
            DecoderDiedError: it died.
            Exception: what was raised there; see :func:`known_error`.
        """
        with self.lock:  # to the end: another thread must not find it half closed
            try:
                answer = self._exchange(request, time.monotonic() + timeout)
            except TimeoutError as error:
                self.end()
                raise DecodeTimeoutError(
                    f'{request.path} gave no answer to {request.what} within timeout={timeout:g} '
                    's, so its decoder was killed. Either the file or its disk stalls, or the '
                    'machine is too busy: then raise timeout (of DecodeClip, SampleClip or '
                    'LongVideoDataset).'
                ) from error
            except (EOFError, ConnectionError) as error:
                raise DecoderDiedError(
                    f'the process that decoded {request.path} {self.end() or "is gone"}, at '
                    f'{request.what}'
                ) from error
            except BaseException:  # a keyboard interrupt, say: the next would take its answer
                self.end()
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _exchange(self, request: Request, deadline: float) -> Any:
        if self.connection.closed:  # by another thread, whose request failed
            raise EOFError
        self.connection.send(request)  # small: it and an answer but for arrays go in one piece
        self._wait_for_bytes(deadline)
        answer = self.connection.recv()
        if isinstance(answer, ArrayAhead):
            answer = np.empty(answer.shape, answer.dtype)
            left = bytes_of(answer)
            while left:
                self._wait_for_bytes(deadline)
                num_bytes = os.readv(self.connection.fileno(), [left])
                if num_bytes == 0:
                    raise EOFError
                left = left[num_bytes:]
        return answer

    def _wait_for_bytes(self, deadline: float) -> None:
        if not self.connection.poll(max(0.0, deadline - time.monotonic())):
            raise TimeoutError


def end_process(pid: int, owner: int, connection: Connection) -> str | None:
    """Kill a decoder, if it still runs, and say how it ended, if that is to be had.

    In a process forked from its owner, only the own end of the pipe is closed.
    """
    connection.close()
    if os.getpid() != owner:
        return None
    for pause in (0, *[0.001] * 50, *[0.05] * 100):
        try:
            waited, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # collected by someone else
            return None
        if waited:
            return describe_status(status)
        if not pause:
            os.kill(pid, signal.SIGKILL)
        time.sleep(pause)
    # In the kernel, waiting for a disk that does not answer. It is collected when it is gone.
    threading.Thread(target=os.waitpid, args=(pid, 0), daemon=True).start()
    return None


def describe_status(status: int) -> str:
    """How a process ended, for the middle of a sentence."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f'ended with status {code}'
    hint = 'killed from outside: out of memory?' if code == -signal.SIGKILL else 'a crash'
    return f'was ended by {signal.Signals(-code).name} ({hint})'
