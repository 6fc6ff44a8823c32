"""Files that do not exist, against asking after each of them."""

import os
import random

import pytest

from mmvidssl.engine import missing_files
from mmvidssl.engine.missing_files import ENTRIES_PER_NAME, add_path, find_missing


def missing(paths):
    folders = {}
    for path in paths:
        add_path(str(path), folders)
    return find_missing(folders)


@pytest.fixture
def asked(monkeypatch):
    """Paths that were asked for one by one."""
    asked = []
    ask = missing_files._ask
    monkeypatch.setattr(missing_files, '_ask', lambda paths: asked.extend(paths) or ask(paths))
    return asked


def test_as_asking_after_each(tmp_path, asked):
    rng = random.Random(0)
    paths = [tmp_path / f'{index % 7}' / f'{index}.mp4' for index in range(2000)]
    paths += [tmp_path / 'nowhere' / 'deep' / f'{index}.mp4' for index in range(500)]
    gone = set(rng.sample(paths[:2000], 40))
    for path in paths[:2000]:
        path.parent.mkdir(exist_ok=True)
        if path not in gone:
            path.touch()
    assert sorted(missing(paths)) == sorted(str(path) for path in paths if not path.exists())
    assert sorted(asked) == sorted(map(str, gone)), 'neither what is listed nor what has no folder'


def test_links_and_folders(tmp_path, asked):
    (tmp_path / 'frames').mkdir()
    (tmp_path / 'file').touch()
    (tmp_path / 'good').symlink_to('file')
    (tmp_path / 'bad').symlink_to('nowhere')
    (tmp_path / 'linked').symlink_to('frames', target_is_directory=True)
    (tmp_path / 'frames' / 'a').touch()
    paths = [tmp_path / name for name in ('frames', 'file', 'good', 'bad', 'linked', 'linked/a')]
    assert missing([*paths, f'{tmp_path}/frames/', f'{tmp_path}/file/below']) == [
        f'{tmp_path}/file/below',
        f'{tmp_path}/bad',
    ]
    assert f'{tmp_path}/file' not in asked


def test_a_few_names_of_a_large_folder(tmp_path, asked):
    """Are asked for: listing the folder would take longer."""
    for index in range(4 * ENTRIES_PER_NAME):
        (tmp_path / f'{index}').touch()
    names = os.listdir(tmp_path)[-2:]
    assert missing([tmp_path / name for name in (*names, 'none')]) == [f'{tmp_path}/none']
    assert f'{tmp_path}/{names[-1]}' in asked


def test_names_that_a_listing_does_not_give(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a').touch()
    assert missing(['a', 'b', '.', '..', 'A/../a', './a']) == ['A/../a', 'b']


@pytest.mark.skipif(os.geteuid() == 0, reason='root may list any folder')
def test_a_folder_that_may_not_be_listed(tmp_path):
    (tmp_path / 'closed').mkdir()
    (tmp_path / 'closed/a').touch()
    (tmp_path / 'closed').chmod(0o311)
    assert missing([tmp_path / 'closed/a', tmp_path / 'closed/b']) == [f'{tmp_path}/closed/b']


def test_a_folder_that_fails_to_list(tmp_path, monkeypatch):
    def fail(folder):
        raise PermissionError(folder)

    (tmp_path / 'a').touch()
    monkeypatch.setattr(missing_files.os, 'scandir', fail)
    assert missing([tmp_path / 'a', tmp_path / 'b']) == [f'{tmp_path}/b']


def test_nothing_to_look_for():
    assert missing([]) == []
