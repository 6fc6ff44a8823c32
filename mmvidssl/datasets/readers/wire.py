"""Messages over a socket: a length, so many bytes, and perhaps an array's bytes after them."""

import socket
import struct
import time

import numpy as np

LENGTH = struct.Struct('!Q')
BUFFER_BYTES = 4 << 20


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets with room for much of a clip."""
    pair = socket.socketpair()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return pair


def send(end: socket.socket, message: bytes, array: np.ndarray | None = None) -> None:
    """Send a message and the bytes of ``array``, C-contiguous."""
    end.sendall(LENGTH.pack(len(message)) + message)
    if array is not None:
        end.sendall(array.reshape(-1).view(np.uint8).data)


def receive(end: socket.socket, deadline: float | None = None) -> bytes:
    """The next message.

    Raises:
        EOFError: the other end is closed.
        TimeoutError: ``time.monotonic()`` passed ``deadline``.
    """
    length = bytearray(LENGTH.size)
    receive_into(end, memoryview(length), deadline)
    message = bytearray(LENGTH.unpack(length)[0])
    receive_into(end, memoryview(message), deadline)
    return bytes(message)


def receive_into(end: socket.socket, view: memoryview, deadline: float | None = None) -> None:
    """Fill a view of bytes with what comes next; raises as :func:`receive`."""
    while len(view):
        seconds = None if deadline is None else deadline - time.monotonic()
        if seconds is not None and seconds <= 0:
            raise TimeoutError('past the deadline')
        end.settimeout(seconds)
        num_bytes = end.recv_into(view)
        if num_bytes == 0:
            raise EOFError('the other end is closed')
        view = view[num_bytes:]
