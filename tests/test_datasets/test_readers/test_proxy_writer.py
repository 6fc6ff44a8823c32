"""A proxy that is written in several goes has the bytes of one written at once."""

import errno
import fcntl
import os
import resource
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

from mmvidssl.datasets.readers import PackWriter, VideoError, proxy_writer, verify_pack
from tests.utils_proxy import in_fork

MANIFEST = dict(source=dict(name='a.mp4'), settings=dict(fps=4.0))
IMAGES = [bytes(np.random.default_rng(i).integers(0, 256, 3 * i + 30, np.uint8)) for i in range(8)]
TIMES = np.arange(8) / 4


def write(path, stop=None, manifest=MANIFEST):
    """Write the frames that are missing, up to ``stop``; gives how many there were."""
    with PackWriter(path, manifest, TIMES) as writer:
        start = writer.num_done
        for image in IMAGES[start:stop]:
            writer.append(image)
        if stop is None:
            writer.finish()
    return start


@pytest.fixture
def whole(tmp_path):
    write(tmp_path / 'whole.frames')
    return (tmp_path / 'whole.frames').read_bytes()


def test_goes_on_from_every_byte(tmp_path, whole):
    """As if the process, or the machine, had died after each of them."""
    path, partial = tmp_path / 'a.frames', tmp_path / 'a.frames.part'
    starts = []
    for length in range(len(whole)):
        partial.write_bytes(whole[:length])
        starts.append(write(path))
        assert path.read_bytes() == whole
        assert not partial.exists()
    assert sorted(set(starts)) == list(range(9))
    assert starts == sorted(starts)


@pytest.mark.parametrize('num_frames', [0, 1, 7, 8])
def test_goes_on_where_it_stopped(tmp_path, whole, num_frames):
    path = tmp_path / 'a.frames'
    write(path, stop=num_frames)
    assert not path.exists()
    assert write(path) == num_frames
    assert path.read_bytes() == whole


def test_goes_on_before_a_damaged_frame(tmp_path, whole):
    """A machine that lost power may have the length of a file on its disk, but not its content."""
    path, partial = tmp_path / 'a.frames', tmp_path / 'a.frames.part'
    data = bytearray(whole[:-30])
    start = data.index(IMAGES[3])
    data[start : start + 20] = bytes(20)
    partial.write_bytes(data)
    assert write(path) == 3
    assert path.read_bytes() == whole


def test_begins_again_where_settings_differ(tmp_path, whole):
    path = tmp_path / 'a.frames'
    write(path, stop=5, manifest=dict(MANIFEST, settings=dict(fps=8.0)))
    assert write(path) == 0
    assert path.read_bytes() == whole


def test_an_old_proxy_stays_until_the_new_one_is_finished(tmp_path, whole):
    path = tmp_path / 'a.frames'
    path.write_bytes(b'old')
    write(path, stop=7)
    assert path.read_bytes() == b'old'
    write(path)
    assert path.read_bytes() == whole


def test_two_writers_are_refused(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(proxy_writer, 'SECONDS_TO_WAIT', 0.2)
    path = tmp_path / 'a.frames'
    with PackWriter(path, MANIFEST, TIMES) as first:
        first.append(IMAGES[0])
        with pytest.raises(VideoError, match=r'another process is writing .*a\.frames\.part'):
            write(path)
        first.append(IMAGES[1])
    assert write(path) == 2
    assert path.read_bytes() == whole


def test_a_writer_that_waited_for_another_leaves_its_file_alone(tmp_path, whole, monkeypatch):
    path, lock = tmp_path / 'a.frames', proxy_writer._lock

    def lock_late(file, partial):
        monkeypatch.setattr(proxy_writer, '_lock', lock)
        os.replace(tmp_path / 'a.frames.part', path)  # the other has finished
        return lock(file, partial)

    (tmp_path / 'a.frames.part').write_bytes(whole)
    monkeypatch.setattr(proxy_writer, '_lock', lock_late)
    with pytest.raises(VideoError, match='has just finished'):
        write(path)
    assert path.read_bytes() == whole


def test_a_full_disk_leaves_what_is_whole(tmp_path, whole):
    path = tmp_path / 'a.frames'

    def write_little(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            write(path)
        except OSError as error:
            return error.errno, str(error)

    seen = set()
    for limit in range(10, len(whole), 60):
        _, (number, message) = in_fork(lambda limit=limit: write_little(limit))
        assert number == errno.EFBIG
        assert str(tmp_path / 'a.frames.part') in message and 'give the same command' in message
        assert not path.exists()
        assert (tmp_path / 'a.frames.part').stat().st_size <= limit
        seen.add(message.split(', ')[1].split(' frames')[0])
    assert seen == {f'{done} of 8' for done in range(9)}
    assert write(path) == 8
    assert path.read_bytes() == whole
    assert verify_pack(path) == 8


def test_other_errors_of_the_disk_stay_what_they_are(tmp_path):
    with PackWriter(tmp_path / 'a.frames', MANIFEST, TIMES) as writer:
        os.close(writer._file.fileno())
        with pytest.raises(OSError, match='Bad file descriptor'):
            writer.append(IMAGES[0])
        with suppress(OSError):
            writer.close()


@pytest.mark.parametrize('number', [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_disk_without_locks_is_told_and_no_trouble(number, tmp_path, whole, monkeypatch):
    def fail(file, operation):
        raise OSError(number, os.strerror(number))

    lines: list[str] = []
    logger = SimpleNamespace(warning=lines.append)
    monkeypatch.setattr(fcntl, 'flock', fail)
    monkeypatch.setattr(proxy_writer.MMLogger, 'get_current_instance', lambda: logger)
    write(tmp_path / 'a.frames')
    assert (tmp_path / 'a.frames').read_bytes() == whole
    (line,) = lines
    assert 'a.frames.part in two processes' in line


def test_other_errors_of_locking_are_not_swallowed(tmp_path, monkeypatch):
    def fail(file, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, 'flock', fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write(tmp_path / 'a.frames')
