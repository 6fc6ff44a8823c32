from fractions import Fraction

import numpy as np
import pytest

from mmvidssl.datasets.list_files import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    find_files,
    read_file_list,
)
from mmvidssl.datasets.readers import PyAVReader
from tests.utils_video import read_frame_number, write_video

MPEG2 = dict(codec='mpeg2video', fps=25, time_base=Fraction(1, 25))


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    'line, path, label',
    [
        ('a/b.mp4 3', 'a/b.mp4', 3),  # mmaction2, PySlowFast
        ('a/b.mp4,3', 'a/b.mp4', 3),  # PySlowFast with commas
        ('a/b.mp4, 3', 'a/b.mp4', 3),
        ('a/b.mp4;3', 'a/b.mp4', 3),
        ('a/b.mp4\t3', 'a/b.mp4', 3),
        ('a/b.mp4', 'a/b.mp4', None),
        ('a/b.mp4,', 'a/b.mp4', None),
        ('a/b.mp4 1 2 5', 'a/b.mp4', [1, 2, 5]),  # mmaction2 with several classes
        ('my cat, 12 years/clip 7.mp4 3', 'my cat, 12 years/clip 7.mp4', 3),
        ('my cat/clip 7.mp4', 'my cat/clip 7.mp4', None),
        ('/abs/ü.mp4 0', '/abs/ü.mp4', 0),
        ('a/b.mp4 -1', 'a/b.mp4', None),
        ('"my cat/b.mp4",3', 'my cat/b.mp4', 3),
    ],
)
def test_lines(tmp_path, line, path, label):
    (tmp_path / 'list.txt').write_text(f'\n  {line}  \n\n', encoding='utf-8')
    assert read_file_list(tmp_path / 'list.txt') == [(path, label)]


def test_lists_that_are_missing_or_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'list\.txt'):
        read_file_list(tmp_path / 'list.txt')
    (tmp_path / 'list.txt').write_text('\n \n')
    with pytest.raises(ValueError, match=r'list\.txt is empty'):
        read_file_list(tmp_path / 'list.txt')
    (tmp_path / 'list.txt').write_text('für.mp4 1', encoding='latin-1')
    with pytest.raises(ValueError, match=r'list\.txt is not UTF-8'):
        read_file_list(tmp_path / 'list.txt')


def test_finds_files_below_in_order(tmp_path):
    touch(tmp_path, 'b/x.mp4', 'a.MKV', 'b/a/deep.webm', 'notes.txt', 'b/._x.mp4', '.git/z.mp4')
    found = [file.path for file in find_files(tmp_path, VIDEO_SUFFIXES)]
    assert found == ['a.MKV', 'b/a/deep.webm', 'b/x.mp4']
    assert {file.label for file in find_files(tmp_path, VIDEO_SUFFIXES)} == {None}
    with pytest.raises(ValueError, match=r'in one of .*\.jpeg'):
        find_files(tmp_path, IMAGE_SUFFIXES)


@pytest.mark.parametrize(
    'suffix, options',
    [
        ('.3g2', {}),
        ('.3gp', {}),
        ('.asf', dict(MPEG2, codec='wmv2')),
        ('.f4v', {}),
        ('.gif', dict(codec='gif', pix_fmt='rgb8', time_base=Fraction(1, 100))),
        ('.m2ts', {}),
        ('.MTS', {}),
        ('.mxf', MPEG2),
        ('.rm', dict(MPEG2, codec='rv10', size=(96, 128))),
        ('.ts', {}),
        ('.vob', MPEG2),
    ],
)
def test_files_of_all_suffixes_are_videos(tmp_path, suffix, options):
    path = write_video(tmp_path / f'v{suffix}', 12, **options)
    assert [file.path for file in find_files(tmp_path, VIDEO_SUFFIXES)] == [path.name]
    frames = PyAVReader(str(path)).get_frames(np.arange(12))
    assert [read_frame_number(frame) for frame in frames] == list(range(12))


def test_files_of_unknown_suffixes_are_named(tmp_path, warned):
    touch(tmp_path, 'a.mp4', 'n.txt', 'a.json', 'thumb.jpg', 'b/.hidden', '.DS_Store', 'a.wav')
    assert len(find_files(tmp_path, VIDEO_SUFFIXES)) == 1 and not warned
    unknown = [*(f'b/{number}.DAV' for number in range(5)), 'clip', 'a.mp4.part', 'x.tiff']
    touch(tmp_path, *unknown)
    assert len(find_files(tmp_path, VIDEO_SUFFIXES)) == 1
    (message,) = warned
    for said in ('5 .dav (b/', ' and 2 more)', '1 without suffix (clip)', 'a.mp4.part', 'x.tiff'):
        assert said in message
    for name in ('n.txt', 'a.json', 'thumb.jpg', '.hidden', 'DS_Store', 'a.wav'):
        assert name not in message
    find_files(tmp_path, ['.mp4', '.dav', '.part', '.tiff', 'clip'])
    assert len(warned) == 1


def test_follows_links_but_not_in_circles(tmp_path):
    touch(tmp_path, 'elsewhere/a.mp4')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'linked').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere' / 'back').symlink_to(tmp_path / 'data')
    found = [file.path for file in find_files(tmp_path / 'data', VIDEO_SUFFIXES)]
    assert found == ['linked/a.mp4']


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone'):
        find_files(tmp_path / 'gone', VIDEO_SUFFIXES)
