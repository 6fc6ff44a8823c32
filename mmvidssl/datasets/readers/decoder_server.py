"""A process that decodes, seen from within."""

import ctypes
import gc
import json
import os
import pickle
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import cv2
import numpy as np

from .file_stamp import FileStamp, stamp_of
from .reader_cache import ReaderCache
from .remote_errors import to_plain
from .wire import receive, send

PR_SET_PDEATHSIG = 1


class Request(NamedTuple):
    """What is wanted of a video.

    Attributes:
        path: The file.
        reader: Config of its reader.
        stamp: What the file must still be like; None if that does not matter.
        what: 'open' (answers the stamp), 'forget', or a name in :class:`VideoReader`.
        kwargs: Arguments, for 'get_frames'.
    """

    path: str
    reader: dict
    stamp: FileStamp | None
    what: str
    kwargs: dict = {}  # noqa: RUF012  never changed


def run(connection: socket.socket, max_open: int, parent: int, dies_with_parent: bool) -> NoReturn:
    """Answer requests until the other end closes, then leave without the parent's clean-up."""
    status = 1
    try:
        _leave_parent(connection, parent, dies_with_parent)
        readers = ReaderCache(max_open)
        while True:
            _reply(connection, readers, pickle.loads(receive(connection)))  # from our own parent
    except (EOFError, ConnectionError):
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _reply(connection: socket.socket, readers: ReaderCache, request: Request) -> None:
    head: dict[str, Any] = {}
    array = None
    try:
        answer = _answer(readers, request)
        if isinstance(answer, np.ndarray):
            array = np.ascontiguousarray(answer)
            head.update(shape=array.shape, dtype=array.dtype.str)
        else:
            head['answer'] = answer
    except Exception as error:
        head['error'] = to_plain(error, request.path)
    head.update(num_open=len(readers), num_reopened=readers.num_reopened)
    send(connection, json.dumps(head).encode(), array)


def _answer(readers: ReaderCache, request: Request) -> Any:
    if request.what == 'forget':
        readers.forget(request.path)
        return None
    video = readers.get(request.path, request.reader, request.stamp)
    if request.what == 'open':
        return stamp_of(request.path)
    if request.what == 'num_frames':
        return int(video.num_frames)
    if request.what == 'fps':
        return float(video.fps)
    if request.what == 'timestamps':
        return np.asarray(video.timestamps)
    return np.asarray(video.get_frames(**request.kwargs))


def _leave_parent(connection: socket.socket, parent: int, dies_with_parent: bool) -> None:
    """Become a process that shares nothing with its parent but memory and open files."""
    if dies_with_parent and sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):  # the parent's handlers are for the parent
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what a Ctrl-C ends
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gc.freeze()  # no destructor of the parent's objects, and no copies of the pages they are on
    cv2.setNumThreads(0)  # those of the parent were not forked
    _release_pipes(connection.fileno())


def _release_pipes(ours: int) -> None:
    """Put /dev/null in the place of inherited pipes and sockets.

    Their other ends wait for them to be closed: those of a data loader that its worker has ended,
    for instance. The numbers stay taken, so that what still holds one cannot meet another file.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in _inherited_pipes():
        if descriptor != ours:
            os.dup2(null, descriptor)
    os.close(null)


def _inherited_pipes() -> Iterator[int]:
    folder = '/proc/self/fd' if sys.platform == 'linux' else '/dev/fd'
    for name in os.listdir(folder):
        try:
            mode = os.fstat(int(name)).st_mode
        except OSError:  # the listing's own
            continue
        if int(name) > 2 and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            yield int(name)
