"""The command as it is given: made, killed, gone on with, checked."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets.readers import ProxyReader
from tests.utils_video import write_video

SCRIPT = Path(__file__).parents[2] / 'tools' / 'datasets' / 'make_proxy.py'


@pytest.fixture(scope='module')
def long_video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'long.mp4', 600, size=(320, 480))


@pytest.fixture(scope='module')
def whole(long_video, tmp_path_factory):
    path = tmp_path_factory.mktemp('proxies') / 'long.frames'
    make_proxy(long_video, path, ProxySettings(fps=10))
    return path.read_bytes()


@pytest.mark.slow
def test_makes_keeps_and_verifies(shell, video, tmp_path):
    make = ('python', SCRIPT, video, '--short-side', 32, '--fps', 5, '--out', tmp_path / 'out')
    done = shell(*make)
    assert done.returncode == 0, done.stderr
    assert 'proxies 100%' in done.stdout and 'video.frames: 15 frames, 0.0 MB\n' in done.stdout
    path = tmp_path / 'out' / 'video.frames'
    assert ProxyReader(str(path)).get_frames([3]).shape == (1, 32, 48, 3)
    done = shell(*make)
    assert done.returncode == 0 and 'was there already' in done.stdout
    assert shell('python', SCRIPT, '--verify', path).returncode == 0
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    done = shell('python', SCRIPT, '--verify', path)
    assert done.returncode == 1 and f'failed: {path}: ' in done.stderr


@pytest.mark.slow
def test_lists_what_failed(shell, video, tmp_path):
    shutil.copy(video, tmp_path / 'good.mp4')
    (tmp_path / 'bad.mp4').write_text('no video')
    files = (tmp_path / 'bad.mp4', tmp_path / 'good.mp4')
    done = shell('python', SCRIPT, *files, '--out', tmp_path, '--workers', 2)
    assert done.returncode == 1
    assert (tmp_path / 'good.frames').exists()
    failures = [line for line in done.stderr.splitlines() if line.startswith('failed: ')]
    assert len(failures) == 1 and str(tmp_path / 'bad.mp4') in failures[0]
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_says_what_is_wrong(shell, video, tmp_path):
    done = shell('python', SCRIPT, tmp_path / 'gone.mp4', '--out', tmp_path)
    assert done.returncode == 2 and 'no such video or folder' in done.stderr
    done = shell('python', SCRIPT, video)
    assert done.returncode == 2 and '--out is needed' in done.stderr


def start(video, out):
    return subprocess.Popen(
        [sys.executable, SCRIPT, video, '--fps', '10', '--out', out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={'PYTHONPATH': str(SCRIPT.parents[2]), 'PATH': '/usr/bin:/bin'},
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize('share', [0.02, 0.9])
def test_killed_and_given_again(shell, long_video, whole, tmp_path, share):
    process, partial = start(long_video, tmp_path), tmp_path / 'long.frames.part'
    while process.poll() is None:
        if partial.exists() and partial.stat().st_size > share * len(whole):
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.001)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / 'long.frames').exists()
    done = shell('python', SCRIPT, long_video, '--fps', 10, '--out', tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'long.frames').read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ['long.frames']


@pytest.mark.slow
def test_a_full_disk(shell, long_video, whole, tmp_path):
    limit = len(whole) // 2048  # ulimit counts in 1024 bytes
    command = f'ulimit -f {limit}; exec python {SCRIPT} {long_video} --fps 10 --out {tmp_path}'
    done = shell('bash', '-c', command)
    assert done.returncode == 1
    assert str(tmp_path / 'long.frames.part') in done.stderr
    assert 'give the same command to go on' in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['long.frames.part']
    assert shell('python', SCRIPT, long_video, '--fps', 10, '--out', tmp_path).returncode == 0
    assert (tmp_path / 'long.frames').read_bytes() == whole


@pytest.mark.slow
def test_two_at_once(long_video, whole, tmp_path):
    """One of them makes it; the other waits, and refuses or finds it made."""
    processes = [start(long_video, tmp_path) for _ in range(2)]
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    codes = sorted(code for _, code in ends)
    assert codes in ([0, 0], [0, 1])
    assert all('another process' in message for message, code in ends if code)
    assert (tmp_path / 'long.frames').read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ['long.frames']
