"""The command as it is given: made, killed, given again, checked."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmvidssl.datasets.readers import ProxyReader
from tests.utils_tool import run_tool
from tests.utils_video import write_video

SCRIPT = Path(__file__).parents[2] / 'tools' / 'datasets' / 'make_proxy.py'


@pytest.fixture
def make(capfd):
    """Calls the command here; gives its exit code, stdout and stderr."""
    return lambda *arguments: (run_tool('datasets/make_proxy', *arguments), *capfd.readouterr())


def test_makes_keeps_and_verifies(make, video, tmp_path):
    arguments = (video, '--short-side', 32, '--fps', 5, '--out', tmp_path / 'out')
    code, out, error = make(*arguments)
    assert code == 0, error
    assert 'proxies: 100%' in error and 'video.proxy.mp4: 15 frames' in out
    path = tmp_path / 'out' / 'video.proxy.mp4'
    assert ProxyReader(str(path)).get_frames([3]).shape == (1, 32, 48, 3)
    code, out, _ = make(*arguments)
    assert code == 0 and 'was there already' in out
    assert make('--verify', path)[0] == 0
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    code, _, error = make('--verify', path)
    assert code == 1 and f'failed: {path}: ' in error


@pytest.mark.slow
def test_lists_what_failed(make, video, tmp_path):
    """In two processes, what they print included."""
    shutil.copy(video, tmp_path / 'good.mp4')
    (tmp_path / 'bad.mp4').write_text('no video')
    files = (tmp_path / 'bad.mp4', tmp_path / 'good.mp4')
    code, _, error = make(*files, '--out', tmp_path, '--workers', 2)
    assert code == 1
    assert (tmp_path / 'good.proxy.mp4').exists()
    failures = [line for line in error.splitlines() if line.startswith('failed: ')]
    assert len(failures) == 1 and str(tmp_path / 'bad.mp4') in failures[0]
    assert 'Traceback' not in error


def test_says_what_is_wrong(make, video, tmp_path):
    code, _, error = make(tmp_path / 'gone.mp4', '--out', tmp_path)
    assert code == 2 and str(tmp_path / 'gone.mp4') in error
    code, _, error = make(video, '--out', tmp_path, '--format', 'png')
    assert code == 2 and '--quality 100' in error


@pytest.mark.slow
def test_killed_and_given_again(shell, make, tmp_path):
    video = write_video(tmp_path / 'long.mp4', 200, size=(320, 480))
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, SCRIPT, video, '--fps', '10', '--out', out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={'PYTHONPATH': str(SCRIPT.parents[2]), 'PATH': '/usr/bin:/bin'},
    )
    partial = out / 'long.proxy.mp4.part'
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 2**20):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert sorted(os.listdir(out)) == ['.long.proxy.mp4.lock', 'long.proxy.mp4.part']
    # A disk that is full ends it, too, and leaves nothing.
    limit = f'ulimit -f 2048; exec python {SCRIPT} {video} --fps 10 --out {out}'
    done = shell('bash', '-c', limit)
    assert done.returncode == 1 and str(partial) in done.stderr
    assert os.listdir(out) == ['.long.proxy.mp4.lock']
    code, _, error = make(video, '--fps', 10, '--out', out)
    assert code == 0, error
    names = ['.long.proxy.mp4.lock', 'long.proxy.json', 'long.proxy.mp4']
    assert sorted(os.listdir(out)) == names
