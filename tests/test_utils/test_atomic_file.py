"""Files appear whole or not at all."""

import errno
import os
import stat

import pytest

from mmvidssl.utils.atomic_file import atomic_path


def test_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / 'a' / 'file.png'
    with atomic_path(target) as temporary:
        temporary.write_text('new')
        assert temporary.suffix == '.png' and not target.exists()
    assert [p.read_text() for p in target.parent.iterdir()] == ['new']


def test_an_error_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / 'file.txt'
    target.write_text('old')
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert [p.read_text() for p in tmp_path.iterdir()] == ['old']


def test_file_and_name_are_synced_in_this_order(tmp_path, monkeypatch):
    target, events = tmp_path / 'file.txt', []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append('folder' if is_folder else f'file of {os.fstat(descriptor).st_size} bytes')
        fsync(descriptor)

    def note_replace(source, destination):
        events.append('rename')
        replace(source, destination)

    monkeypatch.setattr(os, 'fsync', note_sync)
    monkeypatch.setattr(os, 'replace', note_replace)
    with atomic_path(target) as temporary:
        temporary.write_text('whole')
    assert events == ['file of 5 bytes', 'rename', 'folder']


@pytest.mark.parametrize('number, is_fatal', [(errno.EINVAL, False), (errno.EIO, True)])
def test_folders_that_cannot_be_synced(tmp_path, monkeypatch, number, is_fatal):
    def fail_for_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'fsync', fail_for_folders)
    target, raised = tmp_path / 'file.txt', []
    try:
        with atomic_path(target) as temporary:
            temporary.write_text('whole')
    except OSError as error:
        raised = [error.errno]
    assert raised == ([number] if is_fatal else [])
    assert [path.read_text() for path in tmp_path.iterdir()] == ['whole']
