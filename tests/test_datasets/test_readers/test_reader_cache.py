import os
import pickle

import numpy as np
import pytest

from mmvidssl.datasets.readers import ReaderCache, VideoChangedError, VideoNotFoundError, stamp_of
from mmvidssl.registry import VIDEO_READERS

DECORD = dict(type='DecordReader')


class RecordingReader:
    """Counts what is opened and closed."""

    opened: list[str] = []
    closed: list[str] = []

    def __init__(self, path: str, mode: str = 'a') -> None:
        self.path = path
        self.opened.append(path)

    def close(self) -> None:
        self.closed.append(self.path)


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setattr(RecordingReader, 'opened', [])
    monkeypatch.setattr(RecordingReader, 'closed', [])
    monkeypatch.setitem(VIDEO_READERS._module_dict, 'RecordingReader', RecordingReader)
    return dict(type='RecordingReader')


def test_opens_once_each_config(recording):
    cache = ReaderCache()
    assert cache.get('a', recording) is cache.get('a', recording)
    assert RecordingReader.opened == ['a']
    assert cache.get('a', recording) is not cache.get('a', dict(recording, mode='b'))


def test_closes_the_least_recently_used(recording):
    cache = ReaderCache(max_open=2)
    for path in ('a', 'b', 'a', 'c'):
        cache.get(path, recording)
    assert RecordingReader.closed == ['b']
    assert len(cache) == 2
    cache.get('a', recording)
    assert RecordingReader.opened == ['a', 'b', 'c']


def test_close_closes_all(recording):
    cache = ReaderCache()
    cache.get('a', recording)
    cache.get('b', recording)
    cache.close()
    assert sorted(RecordingReader.closed) == ['a', 'b']
    assert len(cache) == 0


def test_a_forked_process_opens_its_own_and_closes_nothing(recording):
    cache = ReaderCache()
    cache.get('a', recording)
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        cache.get('a', recording)
        os.write(send, f'{RecordingReader.opened} {RecordingReader.closed}'.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(receive, 1000).decode() == "['a', 'a'] []"
    assert RecordingReader.opened == ['a']


def test_pickles_without_its_readers(video):
    cache = ReaderCache(max_open=3)
    frames = cache.get(str(video), DECORD).get_frames(np.array([7]))
    copied = pickle.loads(pickle.dumps(cache))
    assert (copied.max_open, len(copied)) == (3, 0)
    np.testing.assert_array_equal(copied.get(str(video), DECORD).get_frames(np.array([7])), frames)


def test_needs_room_for_one():
    with pytest.raises(ValueError, match='max_open'):
        ReaderCache(max_open=0)


def test_a_file_must_be_what_its_stamp_says(recording, tmp_path):
    path = tmp_path / 'v'
    path.write_bytes(b'one')
    stamp, cache = stamp_of(str(path)), ReaderCache()
    cache.get(str(path), recording, stamp)
    path.write_bytes(b'another')
    with pytest.raises(VideoChangedError, match=path.name):
        cache.get(str(path), recording, stamp)
    cache.get(str(path), recording)  # whatever it is now
    assert RecordingReader.opened == [str(path)] * 2 and RecordingReader.closed == [str(path)]
    path.unlink()
    with pytest.raises(VideoNotFoundError, match=path.name):
        cache.get(str(path), recording, stamp)
