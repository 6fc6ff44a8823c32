"""The file format: what is written comes back, and no altered byte goes unnoticed."""

import time

import numpy as np
import pytest

from mmvidssl.datasets.readers import (
    EmptyVideoError,
    PackWriter,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
    open_pack,
    verify_pack,
)
from mmvidssl.datasets.readers.proxy_pack import (
    FORMAT_VERSION,
    PREAMBLE,
    encode_index,
    encode_preamble,
    read_image_bytes,
)

SETTINGS = dict(short_side=360, fps=4.0, format='png', quality=None)
MANIFEST = dict(source=dict(name='my walk.mp4'), settings=SETTINGS)
IMAGES = [bytes(np.random.default_rng(i).integers(0, 256, 40 + i, np.uint8)) for i in range(5)]
TIMES = np.array([0.0, 0.1, 0.30000000000000004, 1e4 / 3, 1e5])


def write(path, images=IMAGES, times=TIMES):
    with PackWriter(path, MANIFEST, times) as writer:
        for image in images:
            writer.append(image)
        writer.finish()
    return path


def test_what_was_written_is_read(tmp_path):
    pack = open_pack(write(tmp_path / 'new' / 'a.frames'))
    assert pack.manifest == MANIFEST
    assert pack.frames['time'].tolist() == TIMES.tolist()
    assert [bytes(read_image_bytes(pack, i)) for i in range(5)] == IMAGES
    assert verify_pack(pack.path) == 5
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['a.frames']


def test_every_altered_byte_is_found(tmp_path):
    path = write(tmp_path / 'a.frames')
    data = path.read_bytes()
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises(VideoError, match=r'a\.frames'):
            verify_pack(path)


def test_an_altered_frame_is_found_when_it_is_read(tmp_path):
    path = write(tmp_path / 'a.frames')
    data = bytearray(path.read_bytes())
    data[data.index(IMAGES[3]) + 7] ^= 64
    path.write_bytes(data)
    pack = open_pack(path)
    assert bytes(read_image_bytes(pack, 2)) == IMAGES[2]
    with pytest.raises(UndecodableVideoError, match=r'a\.frames is damaged: frame 3 was altered'):
        read_image_bytes(pack, 3)


@pytest.mark.parametrize('percent', [1, 10, 50, 70, 99])
def test_a_cut_off_file_is_refused(tmp_path, percent):
    path = write(tmp_path / 'a.frames')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(UndecodableVideoError, match=r'a\.frames is damaged'):
        open_pack(path)


def test_a_longer_file_is_refused(tmp_path):
    path = write(tmp_path / 'a.frames')
    path.write_bytes(path.read_bytes() + bytes(100))
    with pytest.raises(UndecodableVideoError, match=r'a\.frames is damaged'):
        open_pack(path)


def test_the_error_says_how_to_make_it_again(tmp_path):
    path = write(tmp_path / 'a.frames')
    path.write_bytes(path.read_bytes()[:-1])
    command = (
        "python tools/datasets/make_proxy.py 'my walk.mp4' --short-side 360 --fps 4.0 "
        f'--format png --out {tmp_path} --overwrite'
    )
    with pytest.raises(UndecodableVideoError) as error:
        open_pack(path)
    assert str(error.value).endswith(command)


def test_other_files(tmp_path):
    path = tmp_path / 'a.frames'
    with pytest.raises(VideoNotFoundError, match=r'a\.frames'):
        open_pack(path)
    path.touch()
    with pytest.raises(EmptyVideoError, match=r'a\.frames'):
        open_pack(path)
    for content in ('x', 'no proxy\n' * 50):
        path.write_text(content)
        with pytest.raises(UndecodableVideoError, match='does not begin like a proxy'):
            open_pack(path)


def test_a_proxy_of_the_future_and_one_without_frames(tmp_path):
    path = write(tmp_path / 'a.frames')
    data = bytearray(path.read_bytes())
    data[8] = FORMAT_VERSION + 1
    path.write_bytes(data)
    with pytest.raises(UndecodableVideoError, match='update mmvidssl'):
        open_pack(path)
    head = encode_preamble(MANIFEST)
    path.write_bytes(head + encode_index(open_pack(write(path)).frames[:0], len(head)))
    with pytest.raises(EmptyVideoError, match='no frames'):
        open_pack(path)


def test_ten_hours_open_in_milliseconds(tmp_path):
    times = np.arange(144_000) / 4
    path = write(tmp_path / 'a.frames', [b'image'] * len(times), times)
    started = time.perf_counter()
    pack = open_pack(path)
    assert time.perf_counter() - started < 0.25  # 5 ms on a quiet machine
    assert len(pack.frames) == 144_000
    assert PREAMBLE.size == 20
