"""Paths that FFmpeg would take for something else, and files that are no videos at all."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvidssl.apis import make_proxies, make_proxy
from mmvidssl.apis.media import find_media
from mmvidssl.apis.quickstart.footage import prepare_footage
from mmvidssl.datasets import LongVideoDataset, VideoListDataset, find_files, read_file_list
from mmvidssl.datasets.readers import (
    DecordReader,
    ImageError,
    ProxyReader,
    PyAVReader,
    TorchCodecReader,
    UndecodableVideoError,
    VideoError,
    build_reader,
    read_image,
)
from mmvidssl.visualization import write_video as write_frames
from tests.utils_video import read_frame_number, torchcodec_works

READERS = [DecordReader, PyAVReader, ProxyReader]
READERS += [TorchCodecReader] if torchcodec_works() else []
POINTER = (
    'version https://git-lfs.github.com/spec/v1\n'
    'oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n'
)
PAGE = '<title>Sign in</title></head><body>' + '<p>to see it</p>' * 5000
FOREIGN = {
    'pointer': (POINTER, 'Git-LFS pointer'),
    'page': (f'\ufeff\n <!DOCTYPE html><html><head>{PAGE}', 'HTML'),
    'plain page': (f'<HTML><HEAD>{PAGE}', 'HTML'),
    'error of a store': ('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'XML'),
}
REMOTE = ['s3://bucket/a.mp4', 'https://example.org/a.mp4', 'petrel://cluster/a.mp4']


@pytest.mark.parametrize('reader_type', READERS)
def test_a_relative_name_with_a_colon(reader_type, short_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(short_video, 'http:12:30.mp4')
    frames = reader_type('http:12:30.mp4').get_frames(np.array([3, 30]))
    assert [read_frame_number(frame) for frame in frames] == [3, 30]


def test_a_name_with_a_colon_is_written(short_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(short_video, 'a:b.mp4')
    assert make_proxy('a:b.mp4', 'c:d.proxy.mp4').num_frames > 10
    footage = build_reader(str(prepare_footage('a:b.mp4', Path('new:1'), 2)), {})
    assert read_frame_number(footage.get_frames(np.array([5]))[0]) == 5
    write_frames('e:f.mp4', np.zeros((3, 32, 32, 3), np.uint8), 10)
    assert PyAVReader('e:f.mp4').num_frames == 3
    assert find_media(['a:b.mp4']) == [('a:b.mp4', 'a:b.mp4')]


@pytest.mark.parametrize('reader_type', READERS)
@pytest.mark.parametrize('text, what', FOREIGN.values(), ids=FOREIGN)
def test_what_was_saved_in_the_place_of_a_video(reader_type, text, what, tmp_path):
    path = tmp_path / 'v.mp4'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(UndecodableVideoError, match=rf'v\.mp4 .*{what}'):
        reader_type(str(path)).get_frames(np.array([0]))


@pytest.mark.parametrize('text, what', FOREIGN.values(), ids=FOREIGN)
def test_what_was_saved_in_the_place_of_an_image(text, what, tmp_path):
    (tmp_path / 'i.jpg').write_text(text, encoding='utf-8')
    with pytest.raises(ImageError, match=rf'{what}.*i\.jpg'):
        read_image(str(tmp_path / 'i.jpg'))


def test_an_image_that_is_one_is_read(tmp_path):
    cv2.imwrite(str(tmp_path / 'i.png'), np.full((8, 8, 3), 7, np.uint8))
    assert (read_image(str(tmp_path / 'i.png')) == 7).all()


@pytest.mark.parametrize('url', REMOTE)
def test_urls_are_refused(url, tmp_path):
    def listed(data_set):
        (tmp_path / 'list.txt').write_text(f'{url}\n')
        return lambda: data_set(ann_file=str(tmp_path / 'list.txt'))

    for attempt in (
        lambda: PyAVReader(url),
        lambda: VideoListDataset(data_root=url),
        lambda: VideoListDataset(ann_file=url),
        lambda: VideoListDataset(data_prefix=dict(video=url), ann_file='list.txt'),
        lambda: LongVideoDataset(videos=[url]),
        listed(VideoListDataset),
        listed(LongVideoDataset),
        lambda: find_files(url, ['.mp4']),
        lambda: read_file_list(url),
        lambda: find_media(url),
        lambda: make_proxies([url], tmp_path / 'proxies'),
    ):
        with pytest.raises(VideoError, match=rf'URL.*{url[:3]}') as info:
            attempt()
        assert not isinstance(info.value, FileNotFoundError)


def test_a_folder_that_is_called_like_a_url_is_read(short_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 's3:' / 'in').mkdir(parents=True)
    shutil.copy(short_video, 's3:/in/a.mp4')
    assert len(VideoListDataset(data_root='s3:/in')) == 1
    assert PyAVReader('s3:/in/a.mp4').num_frames == 40
