"""The forked process that decodes for its parent."""

import ctypes
import gc
import os
import signal
import stat
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from typing import Any, NamedTuple, NoReturn

import cv2
import numpy as np

from .. import errors
from ..errors import VideoError, class_of_system_error
from ..reader_cache import FileStamp, ReaderCache, stamp_of

PR_SET_PDEATHSIG = 1
# Errors of a wrong argument, or of a bug in a reader: never the fault of a file.
MISTAKES = (
    AssertionError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    ModuleNotFoundError,
    NameError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    ZeroDivisionError,
)


class Request(NamedTuple):
    """A request to the decoding process; the file must still have the ``stamp``, if it is given.

    ``what`` is 'open' (answered with the file's stamp), or a member of :class:`VideoReader`.
    """

    path: str
    reader: dict
    stamp: FileStamp | None
    what: str
    kwargs: dict


class ArrayAhead(NamedTuple):
    """Header of an array, whose raw bytes follow it through the pipe."""

    shape: tuple[int, ...]
    dtype: str


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of a C-contiguous array, not copied."""
    return array.reshape(-1).view(np.uint8).data


def serve(connection: Connection, max_open: int, parent: int, dies_with_parent: bool) -> NoReturn:
    """Answer requests until the pipe is closed, then exit without the parent's exit handlers."""
    status = 1
    try:
        _leave_parent(connection, parent, dies_with_parent)
        readers = ReaderCache(max_open)
        while True:
            _send(connection, _answer(readers, connection.recv()))
    except (EOFError, ConnectionError):
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _answer(readers: ReaderCache, request: Request) -> Any:
    try:
        video = readers.get(request.path, request.reader, request.stamp)
        if request.what == 'open':
            return stamp_of(request.path)
        if request.what == 'get_frames':
            return video.get_frames(**request.kwargs)
        return getattr(video, request.what)
    except Exception as error:
        known = known_error(error, request.path)
        known.__cause__ = error.__cause__  # for the traceback, which is sent as text
        return ExceptionWithTraceback(known, error.__traceback__)


def known_error(error: Exception, path: str) -> Exception:
    """Convert an error to a class that every process can unpickle, keeping only its message.

    Classes of :mod:`errors` and :data:`MISTAKES` are kept. All others (a decoding
    library's, an ``OSError``, a ``MemoryError`` over a size that a damaged file claims) become a
    :class:`VideoError` that names the file.
    """
    if isinstance(error, VideoError):
        known = next(base for base in type(error).__mro__ if base.__module__ == errors.__name__)
        return known(str(error))
    if type(error) in MISTAKES:
        is_text = len(error.args) == 1 and isinstance(error.args[0], str)
        return type(error)(error.args[0] if is_text else str(error))
    message = f'cannot read {path}: {type(error).__name__}: {error}'
    return class_of_system_error(error)(message)


def _send(connection: Connection, answer: Any) -> None:
    if not isinstance(answer, np.ndarray):
        connection.send(answer)
        return
    array = np.ascontiguousarray(answer)
    connection.send(ArrayAhead(array.shape, array.dtype.str))
    left = bytes_of(array)
    while left:
        left = left[os.write(connection.fileno(), left) :]


def _leave_parent(connection: Connection, parent: int, dies_with_parent: bool) -> None:
    """Detach from the parent's signal handlers, objects, threads and pipes."""
    if dies_with_parent and sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the line above
        os._exit(0)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):  # the parent's handlers are for the parent
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what a Ctrl-C ends
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gc.freeze()  # never destroy the parent's objects, nor copy their memory pages
    cv2.setNumThreads(0)  # OpenCV's threads were not forked
    _release_pipes(connection.fileno())


def _release_pipes(ours: int) -> None:
    """Replace inherited pipes and sockets with /dev/null.

    Held open here, they would keep their other ends waiting, such as a data loader whose worker has
    ended. Their numbers stay in use, so that inherited objects cannot reach another file.
    """
    null = os.open(os.devnull, os.O_RDWR)
    folder = '/proc/self/fd' if sys.platform == 'linux' else '/dev/fd'
    for number in map(int, os.listdir(folder)):
        with suppress(OSError):  # the listing's own, closed by now
            mode = os.fstat(number).st_mode
            if number > 2 and number != ours and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
                os.dup2(null, number)
    os.close(null)
