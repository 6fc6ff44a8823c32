"""The bar of long loops, on a terminal and elsewhere."""

import io
import os
import pty
import termios
import time
from contextlib import redirect_stderr

from mmvidssl.utils.progress import progress


def test_the_bar_is_on_a_terminal_and_nowhere_else():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with open(theirs, 'w') as terminal, redirect_stderr(terminal):
        on_terminal = progress(range(3), 'counting')
        with redirect_stderr(io.StringIO()) as file:
            elsewhere = progress(range(3), 'counting')
        for pair in zip(on_terminal, elsewhere, strict=True):
            assert len(set(pair)) == 1
            time.sleep(0.8)
        print('end', file=terminal, flush=True)  # else reading would wait for ever
        assert b'counting' in os.read(ours, 10000)
    assert file.getvalue() == ''
    os.close(ours)
