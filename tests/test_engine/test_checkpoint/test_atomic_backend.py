import os

import pytest
from mmengine.fileio import get_file_backend

import mmvidssl.engine  # noqa: F401  (registers the backend)


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend='atomic'))


def test_writes_and_overwrites(backend, tmp_path):
    path = tmp_path / 'folder' / 'a.pth'
    backend.put(b'one', path)
    backend.put(b'two', str(path))
    assert path.read_bytes() == b'two' == backend.get(path)
    backend.put_text('three', path)
    assert path.read_text() == 'three'
    assert os.listdir(path.parent) == ['a.pth']


@pytest.mark.parametrize('fails', ['fsync', 'replace'])
def test_a_failure_leaves_the_old_file_and_nothing_else(backend, tmp_path, monkeypatch, fails):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')

    def no_space(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, fails, no_space)
    message = r'could not write .*a\.pth \(No space left on device\).*no half file'
    with pytest.raises(OSError, match=message) as error:
        backend.put(b'new', path)
    assert error.value.errno == 28
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.pth']


def test_half_written_files_are_never_seen(backend, tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, 'fsync', lambda fd: (seen.append(path.read_bytes()), real(fd)))
    backend.put(b'new', path)
    assert seen == [b'old', b'new'] and path.read_bytes() == b'new'
