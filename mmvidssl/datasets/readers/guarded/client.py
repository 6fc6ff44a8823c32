"""Requests to a decoding process, which is killed when an answer takes too long."""

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
    """A :class:`ReaderCache` in a separate process, with a time limit for each request.

    The process is forked at the first request. If a request takes longer than ``timeout``, it is
    killed; after that, or after a crash, the next request forks another, which reopens its videos.
    Forked and pickled copies of this object start without a process, and fork their own.

    Args:
        max_open: How many videos stay open; the least recently used one is closed.
        timeout: Seconds that a request may take.
    """

    def __init__(self, max_open: int = 4, timeout: float = DEFAULT_TIMEOUT) -> None:
        if not timeout > 0:
            raise ValueError(
                f'timeout must be positive seconds, or None to decode unguarded, got {timeout}'
            )
        self.max_open, self.timeout = check_max_open(max_open), timeout
        self._decoder: Decoder | None = None

    def get(self, path: str, reader: dict, stamp: FileStamp | None = None) -> VideoReader:
        """A reader of ``path``, opened with the config ``reader`` if it is not open.

        Args:
            path: The video file.
            reader: Config of the reader, without the path.
            stamp: Size and time of change that the file must keep; by default those it has now.

        Raises:
            VideoError: what the reader raises when built; the file does not have the ``stamp``.
            DecodeTimeoutError, DecoderDiedError: the file stalls, or crashes the decoder.
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
    """A :class:`VideoReader` that forwards its requests to the process of :class:`GuardedReaders`.

    It raises if the file was deleted, replaced or written to since it was created. It holds nothing
    open itself: if the process has closed the video for another one, the next request reopens it.
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
        """End the decoding process, which closes this video and its others."""
        self._readers.close()

    def _ask(self, what: str, **kwargs: Any) -> Any:
        return self._readers.ask(Request(self.path, self._reader, self._stamp, what, kwargs))


Readers = ReaderCache | GuardedReaders


def build_readers(max_open: int = 4, timeout: float | None = DEFAULT_TIMEOUT) -> Readers:
    """Readers in a process with a time limit in seconds; with ``timeout=None``, in this process.

    Systems that cannot fork (Windows) always decode in this process.
    """
    if timeout is None or not hasattr(os, 'fork'):
        return ReaderCache(max_open)
    return GuardedReaders(max_open, timeout)


class Decoder:
    """A forked process that runs :func:`serve`, and can be killed.

    It uses ``os.fork``, since daemonic workers of a data loader may not start processes with
    ``multiprocessing``; a fork also saves the time and memory of a second Python. The process
    never touches torch or CUDA, and ends with the one that started it.
    """

    def __init__(self, max_open: int) -> None:
        self.owner = os.getpid()
        self.connection, theirs = Pipe()
        # The kernel sends its parent-death signal when the forking thread ends, and threads other
        # than the main one may end long before their process.
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
        """Whether it was not ended, and belongs to this process, not to its parent."""
        return self.end.alive and self.owner == os.getpid()

    def ask(self, request: Request, timeout: float) -> Any:
        """Send a request; returns a number, a :class:`FileStamp`, or an array.

        Raises:
            DecodeTimeoutError: no answer within ``timeout`` seconds; the process is killed.
            DecoderDiedError: the process died.
            Exception: what was raised there; see :func:`known_error`.
        """
        with self.lock:  # until it has ended: no thread finds it half closed
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
            except BaseException:  # Ctrl-C, say: the next request would get its answer
                self.end()
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _exchange(self, request: Request, deadline: float) -> Any:
        if self.connection.closed:  # by another thread, whose request failed
            raise EOFError
        self.connection.send(request)  # small, as are answers but arrays: sent in one piece
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
    """Kill a decoding process if it still runs; describes how it ended, None if unknown.

    A process forked from its owner only closes its own end of the pipe.
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
    # It hangs in the kernel, waiting for a disk. A thread collects it when it has ended.
    threading.Thread(target=os.waitpid, args=(pid, 0), daemon=True).start()
    return None


def describe_status(status: int) -> str:
    """Describe how a process ended, for the middle of a sentence."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f'ended with status {code}'
    hint = 'killed from outside: out of memory?' if code == -signal.SIGKILL else 'a crash'
    return f'was ended by {signal.Signals(-code).name} ({hint})'
