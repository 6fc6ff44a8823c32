"""A process that decodes, seen from the one that wants frames."""

import json
import os
import pickle
import signal
import socket
import threading
import time
import warnings
import weakref
from typing import Any

import numpy as np

from . import decoder_server
from .decoder_server import Request
from .errors import DecoderDiedError, DecodeTimeoutError
from .remote_errors import from_plain
from .wire import receive, receive_into, send, socket_pair

PATIENCE = 5.0  # seconds for a killed process to be gone

# Killed, but not gone: in the kernel, waiting for a disk that does not answer.
_lingering: set[int] = set()


class DecoderProcess:
    """A forked child that opens videos and decodes, and can be killed.

    It is forked (``os.fork``, also by the daemonic workers of a data loader, which may not start
    processes with ``multiprocessing``), so it costs neither a second start of Python nor the memory
    of one. It never touches torch or CUDA, and ends with the process that started it.

    Args:
        max_open: How many videos it keeps open.

    Attributes:
        owner: The process it belongs to.
        num_open: Videos that were open after the last answer.
        num_reopened: How often it had opened a video again by then.
    """

    def __init__(self, max_open: int) -> None:
        reap_lingering()
        self.owner = os.getpid()
        self.num_open = self.num_reopened = 0
        self.socket, theirs = socket_pair()
        # The kernel's signal on the death of a parent comes with the death of the thread that
        # forked: other threads may end long before their process.
        is_main = threading.current_thread() is threading.main_thread()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # Python 3.12: forking with threads
            self.pid = os.fork()
        if self.pid == 0:
            decoder_server.run(theirs, max_open, parent=self.owner, dies_with_parent=is_main)
        theirs.close()
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _end, self.pid, self.owner, self.socket)

    def ask(self, request: Request, timeout: float) -> Any:
        """The answer: a number, a :class:`FileStamp` as a list, or an array.

        Raises:
            DecodeTimeoutError: no answer within ``timeout`` seconds; the process is killed.
            DecoderDiedError: it died.
            Exception: what was raised there; see :mod:`remote_errors`.
        """
        try:
            with self._lock:
                head = self._exchange(request, timeout)
        except TimeoutError as error:
            self.end()
            raise DecodeTimeoutError(
                f'{request.path} gave no answer to {request.what} within timeout={timeout:g} s, so '
                'its decoder was killed. Either the file or its disk stalls, or the machine is too '
                'busy: then raise timeout (of DecodeClip, SampleClip or LongVideoDataset).'
            ) from error
        except (EOFError, ConnectionError) as error:
            raise DecoderDiedError(
                f'the process that decoded {request.path} {describe_status(self.end())}, at '
                f'{request.what}'
            ) from error
        except BaseException:  # a keyboard interrupt, say: its answer would be taken for the next
            self.end()
            raise
        if 'error' in head:
            raise from_plain(head['error'])
        self.num_open, self.num_reopened = head['num_open'], head['num_reopened']
        return head['answer']

    def _exchange(self, request: Request, timeout: float) -> dict:
        deadline = time.monotonic() + timeout
        self.socket.settimeout(timeout)
        send(self.socket, pickle.dumps(request))
        head = json.loads(receive(self.socket, deadline))
        if 'shape' in head:
            head['answer'] = np.empty(head['shape'], np.dtype(head['dtype']))
            receive_into(self.socket, head['answer'].reshape(-1).view(np.uint8).data, deadline)
        return head

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._end.alive

    def end(self) -> int | None:
        """Kill it; its status as ``os.waitpid`` gives it, None if that is not to be had.

        In a process forked from its owner, only the own end of the connection is closed.
        """
        return self._end()


def _end(pid: int, owner: int, connection: socket.socket) -> int | None:
    connection.close()
    if os.getpid() != owner:
        return None
    gone, status = _wait(pid)
    if not gone:
        os.kill(pid, signal.SIGKILL)
        gone, status = _wait(pid, PATIENCE)
    if not gone:
        _lingering.add(pid)
    return status


def reap_lingering() -> None:
    """Collect processes that were killed but could not be waited for."""
    for pid in list(_lingering):
        if _wait(pid)[0]:
            _lingering.discard(pid)


def _wait(pid: int, patience: float = 0.0) -> tuple[bool, int | None]:
    """Whether a child is gone, and its status."""
    deadline, pause = time.monotonic() + patience, 0.0005
    while True:
        try:
            waited, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # collected by someone else, or inherited from the parent
            return True, None
        if waited or time.monotonic() >= deadline:
            return bool(waited), status if waited else None
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def describe_status(status: int | None) -> str:
    """How a process ended, for the middle of a sentence."""
    if status is None:
        return 'is gone'
    if not os.WIFSIGNALED(status):
        return f'ended with status {os.WEXITSTATUS(status)}'
    name = signal.Signals(os.WTERMSIG(status)).name
    hint = ' (killed from outside: out of memory?)' if name == 'SIGKILL' else ' (a crash)'
    return f'was ended by {name}{hint}'
