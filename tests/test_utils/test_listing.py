"""Files that do not exist, against asking after each of them; the first of many."""

import os
import random

import pytest

from mmvidssl.utils import listing
from mmvidssl.utils.listing import compare_with_disk, find_missing, some


@pytest.fixture
def asked(monkeypatch):
    """Paths that were asked for one by one."""
    asked = []
    exists = os.path.exists
    monkeypatch.setattr(listing.os.path, 'exists', lambda path: asked.append(path) or exists(path))
    return asked


def missing(paths):
    names = {}
    for folder, name in (os.path.split(str(path).rstrip('/')) for path in paths):
        names.setdefault(folder, set()).add(name)
    return compare_with_disk(names)[0]


def test_as_asking_after_each(tmp_path, asked):
    rng = random.Random(0)
    paths = [tmp_path / f'{index % 7}' / f'{index}.mp4' for index in range(2000)]
    nowhere = [tmp_path / 'nowhere' / 'deep' / f'{index}.mp4' for index in range(50)]
    gone = {*map(str, rng.sample(paths, 40)), *map(str, nowhere)}
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        if str(path) not in gone:
            path.touch()
    assert sorted(missing([*paths, *nowhere])) == sorted(gone)
    assert set(asked) & set(map(str, paths)) <= gone, 'what is listed is not asked for'


def test_links_and_folders(tmp_path, asked):
    (tmp_path / 'frames').mkdir()
    (tmp_path / 'file').touch()
    (tmp_path / 'good').symlink_to('file')
    (tmp_path / 'bad').symlink_to('nowhere')
    (tmp_path / 'linked').symlink_to('frames', target_is_directory=True)
    (tmp_path / 'frames' / 'a').touch()
    paths = [tmp_path / name for name in ('frames', 'file', 'good', 'bad', 'linked', 'linked/a')]
    assert missing([*paths, f'{tmp_path}/frames/', f'{tmp_path}/file/below']) == [
        f'{tmp_path}/bad',
        f'{tmp_path}/file/below',
    ]
    assert f'{tmp_path}/file' not in asked
    asked.clear()
    assert find_missing(map(str, [*paths, tmp_path / 'no'])) == [f'{tmp_path}/no']
    assert asked == [f'{tmp_path}/no']


def test_names_that_a_listing_does_not_give(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a').touch()
    assert missing(['a', 'b', '.', '..', 'A/../a', './a']) == ['b', 'A/../a']
    assert missing([]) == []


def test_a_folder_that_fails_to_list(tmp_path, monkeypatch):
    def fail(folder):
        raise PermissionError(folder)

    (tmp_path / 'a').touch()
    monkeypatch.setattr(listing.os, 'scandir', fail)
    assert missing([tmp_path / 'a', tmp_path / 'b']) == [f'{tmp_path}/b']


def test_what_lies_beside(tmp_path):
    (tmp_path / 'a').touch()
    (tmp_path / 'b').touch()
    assert compare_with_disk({str(tmp_path): {'b', 'c'}}) == ([f'{tmp_path}/c'], [f'{tmp_path}/a'])


def test_first_of_many():
    assert some(range(3)) == '0, 1, 2'
    assert some(iter(range(9)), 2, '; ') == '0; 1 and 7 more'
    assert some([]) == ''
