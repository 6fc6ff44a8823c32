"""Every backend reads the same stream, and shows it the same way up."""

import gc
import struct
from fractions import Fraction
from itertools import product

import av
import cv2
import numpy as np
import pytest

from mmvidssl.datasets.readers import (
    DecordReader,
    PyAVReader,
    TorchCodecReader,
    UndecodableVideoError,
)
from tests.utils_video import READERS, draw_frame, read_frame_number, write_streams, write_video

SIGNS = list(product((1, -1), repeat=2))
MATRICES = [(a, 0, 0, d) for a, d in SIGNS] + [(0, b, c, 0) for b, c in SIGNS]


def numbers(frames):
    return [read_frame_number(frame) for frame in frames]


def shown(pixels, matrix):
    """The pixels put where the matrix says, one by one."""
    a, b, c, d = matrix
    y, x = np.indices(pixels.shape[:2])
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    placed = np.empty((down.max() + 1, right.max() + 1, 3), np.uint8)
    placed[down, right] = pixels
    return placed


@pytest.fixture(scope='module')
def stored(tmp_path_factory):
    path = write_video(tmp_path_factory.mktemp('stored') / 'v.mp4', 2)
    return PyAVReader(str(path)).get_frames(np.arange(2))


@pytest.mark.parametrize('reader_type', READERS)
@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
@pytest.mark.parametrize('matrix', MATRICES)
def test_frames_are_turned_and_mirrored_or_refused(matrix, suffix, reader_type, stored, tmp_path):
    reader = reader_type(str(write_video(tmp_path / f'v.{suffix}', 2, matrix=matrix)))
    is_mirrored = np.linalg.det(np.reshape(matrix, (2, 2))) < 0
    is_refused = dict(DecordReader=matrix != (1, 0, 0, 1), TorchCodecReader=is_mirrored)
    if is_refused.get(reader_type.__name__):
        with pytest.raises(UndecodableVideoError, match='PyAVReader'):
            reader.get_frames(np.arange(2))
    else:
        expected = [shown(pixels, matrix) for pixels in stored]
        np.testing.assert_array_equal(reader.get_frames(np.arange(2)), expected)
        small = reader.get_frames(np.arange(2), short_side=32)
        assert small.shape == (2, *(size // 2 for size in expected[0].shape[:2]), 3)


@pytest.mark.parametrize('matrix', [(0, 0, 0, 0), (2, 0, 0, 1), (0, 2, -1, 0)])
def test_sizes_in_a_display_matrix_are_left_alone(matrix, stored, tmp_path):
    reader = PyAVReader(str(write_video(tmp_path / 'v.mp4', 2, matrix=matrix)))
    expected = [shown(pixels, np.sign(matrix)) for pixels in stored] if any(matrix) else stored
    np.testing.assert_array_equal(reader.get_frames(np.arange(2)), expected)


@pytest.mark.parametrize('reader_type', READERS)
def test_other_angles_are_refused(reader_type, tmp_path):
    half = 0.5**0.5
    path = write_video(tmp_path / 'v.mp4', 2, matrix=(half, half, -half, half))
    with pytest.raises(UndecodableVideoError, match=r'v\.mp4.*45\.0 degrees'):
        reader_type(str(path)).get_frames(np.array([0]))


@pytest.mark.parametrize('orientation', [2, 6])
def test_motion_jpeg_turned_by_exif_is_refused(orientation, tmp_path):
    """PyAV tells an angle, and not whether a frame is mirrored: 2 would be upside down."""
    exif = b'Exif\0\0MM\0*\0\0\0\x08'
    exif += struct.pack('>HHHIHHI', 1, 0x112, 3, 1, orientation, 0, 0)
    segment = b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif
    with av.open(str(tmp_path / 'v.mov'), 'w') as container:
        stream = container.add_mux_stream('mjpeg', rate=10, width=96, height=64)
        for number in range(3):
            jpeg = cv2.imencode('.jpg', draw_frame(number, (64, 96)))[1].tobytes()
            packet = av.Packet(jpeg[:2] + segment + jpeg[2:])
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            packet.time_base = Fraction(1, 10)
            container.mux(packet)
    with pytest.raises(UndecodableVideoError, match=r'v\.mov.* EXIF'):
        PyAVReader(str(tmp_path / 'v.mov')).get_frames(np.arange(3))


@pytest.mark.parametrize('reader_type', READERS)
def test_of_several_streams_the_first_is_read(reader_type, tmp_path):
    reader = reader_type(str(write_streams(tmp_path / 'v.mp4', ['video', 'video'])))
    if reader_type is DecordReader:
        with pytest.raises(UndecodableVideoError, match='2 video streams'):
            reader.get_frames(np.array([0]))
    else:
        assert numbers(reader.get_frames(np.array([0, 20]))) == [0, 20]


@pytest.mark.parametrize('reader_type', READERS)
def test_cover_pictures_are_no_videos(reader_type, tmp_path):
    reader = reader_type(str(write_streams(tmp_path / 'v.mp4', ['cover', 'video'])))
    with av.open(reader.path) as container:
        assert container.streams.video[0].codec_context.name == 'mjpeg'
    assert reader.num_frames == 30
    try:
        assert numbers(reader.get_frames(np.array([0, 20]))) == [0, 20]
    except UndecodableVideoError:
        assert reader_type is TorchCodecReader  # 0.17 opens no file that begins with a cover
    song = write_streams(tmp_path / 'song.mp4', ['cover'])
    with pytest.raises(UndecodableVideoError, match=r'no video stream in .*song\.mp4'):
        _ = reader_type(str(song)).num_frames


@pytest.mark.parametrize('reader_type', READERS)
def test_parts_that_an_edit_list_shows_twice(reader_type, tmp_path):
    path = write_video(tmp_path / 'v.mp4', 60, gop=60, options={'x264-params': 'bframes=0'})
    edit(path, [(1, 3), (2, 2)])
    reader = reader_type(str(path))
    assert reader.num_frames == 30
    for index, number in reversed([*enumerate([*range(30, 40), *range(20, 40)])]):
        try:
            frames = reader.get_frames(np.array([index]))
        except UndecodableVideoError:
            assert reader_type is not PyAVReader
        else:
            assert numbers(frames) == [number]


def edit(path, parts):
    """Replace the edit list of an MP4, whose moov is the last box; (seconds, first second) each."""
    data = path.read_bytes()
    start = {name: data.index(name) - 4 for name in (b'moov', b'trak', b'edts', b'mvhd', b'mdhd')}
    movie_unit, unit = (
        int.from_bytes(data[start[name] + 20 : start[name] + 24], 'big')
        for name in (b'mvhd', b'mdhd')
    )
    entries = b''.join(
        struct.pack('>IiI', round(seconds * movie_unit), round(first * unit), 1 << 16)
        for seconds, first in parts
    )
    body = struct.pack('>I4sII', 16 + len(entries), b'elst', 0, len(parts)) + entries
    edts = struct.pack('>I4s', 8 + len(body), b'edts') + body
    end = start[b'edts'] + int.from_bytes(data[start[b'edts'] : start[b'edts'] + 4], 'big')
    edited = bytearray(data[: start[b'edts']] + edts + data[end:])
    for name in (b'moov', b'trak'):
        size = int.from_bytes(data[start[name] : start[name] + 4], 'big')
        struct.pack_into('>I', edited, start[name], size + len(edited) - len(data))
    path.write_bytes(edited)


def test_frames_are_freed_without_a_search_for_circles(tmp_path):
    def num_frames() -> int:  # of all tests of this process
        return sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())

    reader = PyAVReader(write_video(tmp_path / 'a.mp4', matrix=(0, -1, 1, 0)))
    gc.collect()
    gc.disable()
    try:
        before = num_frames()
        reader.get_frames(np.arange(20))
        after = num_frames()
    finally:
        gc.enable()
    assert after - before < 2
