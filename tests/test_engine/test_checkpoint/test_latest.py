import os

import pytest

from mmvidssl.engine import find_resumable


def find(folder):
    return find_resumable(folder, 'iter_*.pth')


@pytest.fixture
def work_dir(tmp_path):
    """Checkpoints of which the one with the smaller number is newer."""
    for age, name in enumerate(['iter_2.pth', 'iter_10.pth', 'best_iter_3.pth']):
        (tmp_path / name).write_text('')
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    return tmp_path


def test_the_named_one(work_dir):
    (work_dir / 'last_checkpoint').write_text(f'{work_dir / "iter_10.pth"}\n')
    assert find(work_dir) == str(work_dir / 'iter_10.pth')


@pytest.mark.parametrize('note', ['elsewhere/iter_11.pth', ''])
def test_the_newest_if_that_is_missing(work_dir, note):
    (work_dir / 'last_checkpoint').write_text(note)
    assert find(work_dir) == str(work_dir / 'iter_10.pth')


def test_the_newest_if_none_is_named(work_dir):
    assert find(work_dir) == str(work_dir / 'iter_10.pth')


@pytest.mark.parametrize('number', [9, 10, 11])
def test_the_newest_of_both_folders(work_dir, tmp_path_factory, number):
    out_dir = tmp_path_factory.mktemp('out')
    (out_dir / f'iter_{number}.pth').write_text('')
    expected = out_dir / f'iter_{number}.pth' if number >= 10 else work_dir / 'iter_10.pth'
    assert find_resumable(work_dir, 'iter_*.pth', out_dir) == str(expected)


def test_none_if_nothing_was_written_yet(tmp_path):
    (tmp_path / 'best_iter_3.pth').write_text('')
    (tmp_path / 'iter_last.pth').write_text('')
    (tmp_path / 'iter_4.pth').mkdir()
    assert find(tmp_path) is None
    assert find(tmp_path / 'no such folder') is None


def test_refuses_to_start_anew_where_checkpoints_were(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('gone/iter_3.pth')
    with pytest.raises(FileNotFoundError, match='names gone/iter_3.pth, which does not exist'):
        find(tmp_path)
