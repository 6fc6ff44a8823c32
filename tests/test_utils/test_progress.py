"""The bar of long loops, on a terminal and elsewhere."""

import os
import pty
import subprocess
import sys
import termios

LOOP = """
import time
from mmvidssl.utils.progress import progress
for _ in progress(range(3), 'counting'):
    time.sleep(1.1)
"""


def test_the_bar_is_on_a_terminal_and_nowhere_else():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [sys.executable, '-c', LOOP]
    with subprocess.Popen(command, stderr=theirs):
        silent = subprocess.run(command, capture_output=True, check=True).stderr
    os.write(theirs, b'end')  # else reading would wait for ever
    assert b'counting' in os.read(ours, 10000)
    assert b'counting' not in silent
    os.close(ours)
    os.close(theirs)
