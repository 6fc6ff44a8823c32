"""The bar on a terminal and in a file."""

import io

import pytest
from rich.console import Console

from mmvidssl.utils.progress_bar import ProgressBar


def test_lines_tell_share_and_remark_where_there_is_no_terminal():
    out = io.StringIO()
    with ProgressBar('copying', 4, Console(file=out), line_every=0) as bar:
        bar.update(1, 'loss 2.5')
        bar.update(2, 'loss 1.5')
    lines = out.getvalue().splitlines()
    assert lines[0].startswith('copying  25%') and lines[0].endswith('loss 2.5')
    assert lines[-1].startswith('copying 100%') and lines[-1].endswith('loss 1.5')


def test_an_error_is_not_shown_as_finished():
    out = io.StringIO()
    with pytest.raises(RuntimeError), ProgressBar('copying', 4, Console(file=out)) as bar:
        bar.update(1)
        raise RuntimeError
    assert '25%' in out.getvalue() and '100%' not in out.getvalue()


def test_a_terminal_gets_a_bar_with_the_time_left():
    out = io.StringIO()
    with ProgressBar('copying', 4, Console(file=out, force_terminal=True, width=100)) as bar:
        bar.update(4, 'loss 0.5')
    assert '100%' in out.getvalue() and 'left' in out.getvalue() and 'loss 0.5' in out.getvalue()
