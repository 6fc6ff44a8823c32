"""Every backend on every kind of video: the frames and times that were written, or a refusal."""

import sys
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import NamedTuple

import av
import numpy as np
import pytest

from mmvidssl.datasets.readers import PyAVReader, TorchCodecReader, UndecodableVideoError
from tests.utils_video import READERS, draw_frame, read_frame_number, write_video

NUM_FRAMES = 60
TENTH, TWENTY_FIFTH = Fraction(1, 10), Fraction(1, 25)
UNEVEN = np.cumsum(np.random.default_rng(0).integers(1, 20, NUM_FRAMES)) / 100


class Kind(NamedTuple):
    """How a video is written, and what is special about it."""

    suffix: str
    options: dict
    times: np.ndarray = np.arange(NUM_FRAMES) / 10
    first: int = 0  # the first frame that is shown
    refused_by: tuple[str, ...] = ()


KINDS = {
    'closed GOP': Kind('mp4', dict()),
    'open GOP': Kind('mp4', dict(options={'x264-params': 'open-gop=1:bframes=3:b-adapt=0'})),
    'pyramid of B-frames': Kind('mkv', dict(options={'x264-params': 'b-pyramid=normal:ref=3'})),
    'keyframes alone': Kind('mp4', dict(gop=1)),
    'one keyframe': Kind('mp4', dict(gop=250)),
    'HEVC, open GOP': Kind(
        'mp4',
        dict(codec='libx265', options={'x265-params': 'open-gop=1:log-level=none'}),
        refused_by=('DecordReader',),
    ),
    'VP9': Kind('webm', dict(codec='libvpx-vp9')),
    'VP9, odd size': Kind('webm', dict(codec='libvpx-vp9', size=(65, 97))),
    'VP8, hidden frames': Kind(
        'webm', dict(codec='libvpx', options={'auto-alt-ref': '1', 'lag-in-frames': '16'})
    ),
    'AV1': Kind('mp4', dict(codec='libsvtav1'), refused_by=('DecordReader',)),
    'MPEG-4 in AVI': Kind(
        'avi',
        dict(codec='mpeg4', num_b_frames=2, time_base=TENTH),
        refused_by=('DecordReader', 'TorchCodecReader'),
    ),
    'MPEG transport stream': Kind(
        'ts',
        dict(time_base=TENTH),
        times=np.arange(2, NUM_FRAMES + 2) / 10,
        refused_by=('DecordReader', 'TorchCodecReader'),
    ),
    'MPEG-1 program stream': Kind(
        'mpg',
        dict(codec='mpeg1video', num_b_frames=0, fps=25, time_base=TWENTY_FIFTH),
        times=np.arange(NUM_FRAMES) / 25 + 0.54,
        refused_by=('DecordReader', 'TorchCodecReader'),
    ),
    'MPEG-2 program stream': Kind(
        'vob',
        # Of this size, packets after a seek to its start in time have the times of others.
        dict(codec='mpeg2video', num_b_frames=2, size=(240, 320), fps=25, time_base=TWENTY_FIFTH),
        times=np.arange(NUM_FRAMES) / 25 + 0.54,
        refused_by=('DecordReader', 'TorchCodecReader'),
    ),
    'intra-refresh': Kind(
        'mp4',
        dict(options={'x264-params': 'intra-refresh=1:bframes=0'}),
        refused_by=('DecordReader', 'TorchCodecReader'),
    ),
    'intra-refresh, B-frames': Kind(
        'mkv',
        dict(options={'x264-params': 'intra-refresh=1:bframes=2'}),
        refused_by=('DecordReader', 'TorchCodecReader'),
    ),
    'H.264 in AVI': Kind(
        'avi',
        dict(options={'x264-params': 'bframes=0'}, time_base=TENTH),
        times=np.arange(1, NUM_FRAMES + 1) / 10,
        refused_by=('DecordReader',),
    ),
    'MPEG-4 in MP4': Kind(
        'mp4',
        dict(codec='mpeg4', num_b_frames=2, time_base=TENTH),
        refused_by=('DecordReader',),
    ),
    'Motion JPEG': Kind('avi', dict(codec='mjpeg', pix_fmt='yuvj420p', time_base=TENTH)),
    'odd size': Kind('mp4', dict(size=(65, 97), pix_fmt='yuv444p')),
    'variable frame rate': Kind('mp4', dict(timestamps=UNEVEN), times=UNEVEN),
    'edit list hides frames': Kind(
        'mp4', dict(shift=-1.5), times=np.arange(45) / 10, first=15, refused_by=('DecordReader',)
    ),
    'starts late': Kind('mp4', dict(shift=2.5), times=np.arange(NUM_FRAMES) / 10 + 2.5),
}


def numbers(frames):
    return [read_frame_number(frame) for frame in frames]


@pytest.fixture(scope='module')
def video_of(tmp_path_factory) -> Callable:
    """Writes each kind of video once."""
    folder, written = tmp_path_factory.mktemp('kinds'), {}

    def get(name):
        if name not in written:
            kind = KINDS[name]
            path = folder / f'{len(written)}.{kind.suffix}'
            written[name] = str(write_video(path, NUM_FRAMES, **kind.options))
        return written[name]

    return get


@pytest.mark.parametrize('reader_type', READERS)
@pytest.mark.parametrize('name', KINDS)
def test_frames_and_times_are_those_written(name, reader_type, video_of):
    kind = KINDS[name]
    reader = reader_type(video_of(name))
    np.testing.assert_allclose(reader.timestamps, kind.times, atol=1.1e-3)
    assert reader.num_frames == len(kind.times)
    assert reader.fps == pytest.approx((len(kind.times) - 1) / np.ptp(kind.times), rel=1e-3)
    if reader_type.__name__ in kind.refused_by:
        with pytest.raises(UndecodableVideoError):
            reader.get_frames(np.array([20]))
        return
    every = np.arange(reader.num_frames)
    assert numbers(reader.get_frames(every)) == (every + kind.first).tolist()
    order = np.random.default_rng(1).permutation(every)
    one_by_one = [reader.get_frames(np.array([i]))[0] for i in order]  # seeks back and forth
    assert numbers(one_by_one) == (order + kind.first).tolist()
    for step in (7, 13, 29):
        assert numbers(reader.get_frames(every[3::step])) == (every[3::step] + kind.first).tolist()
    last = every[[-1, -2, -1]]
    assert numbers(reader.get_frames(last)) == (last + kind.first).tolist()


@pytest.mark.parametrize('reader_type', READERS)
def test_nearest_frames_of_times(reader_type, video_of):
    reader = reader_type(video_of('variable frame rate'))
    times = np.array([0.0, UNEVEN[20] + 1e-4, UNEVEN[5], 99.0])
    assert numbers(reader.get_frames(times=times)) == [0, 20, 5, NUM_FRAMES - 1]
    with pytest.raises(ValueError, match='either indices or times'):
        reader.get_frames(np.array([0]), times=times)


@pytest.mark.parametrize('reader_type', READERS)
def test_pixels_are_those_written_and_shrink_by_averaging(reader_type, tmp_path):
    path = write_video(tmp_path / 'v.mkv', 3, options={'crf': '1'})
    reader = reader_type(str(path))
    (frame,) = reader.get_frames(np.array([1]))
    expected = draw_frame(1, (64, 96)).astype(int)
    inside = np.s_[11::8, 3::8]  # of the blocks: chroma is smeared over their borders
    assert np.abs(frame[inside] - expected[inside]).mean() < 4
    (small,) = reader.get_frames(np.array([1]), short_side=8)
    assert small.shape == (8, 12, 3)
    means = frame.reshape(8, 8, 12, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - means).mean() < 3


@pytest.mark.parametrize('reader_type', READERS)
def test_a_file_that_was_cut_is_refused(reader_type, video_of, tmp_path):
    with open(video_of('closed GOP'), 'rb') as file:
        data = file.read()
    for suffix in ('.mp4', '.mkv'):  # tells itself that it is an MP4, whatever its name
        path = tmp_path / f'cut{suffix}'
        path.write_bytes(data[: len(data) * 7 // 10])
        with pytest.raises(UndecodableVideoError, match=path.name):
            _ = reader_type(str(path)).num_frames


@pytest.mark.parametrize('reader_type', READERS)
@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_a_title_in_another_encoding_is_no_trouble(suffix, reader_type, video_of, tmp_path):
    path = tmp_path / f'v.{suffix}'
    with av.open(video_of('closed GOP')) as source, av.open(str(path), 'w') as out:
        out.metadata['title'] = 'Caf# am Rhein'
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    data = path.read_bytes()
    assert data.count(b'Caf#') == 1
    path.write_bytes(data.replace(b'Caf#', 'Café'.encode('latin-1')))
    assert numbers(reader_type(str(path)).get_frames(np.array([7, 30]))) == [7, 30]


def test_pyav_decodes_no_more_frames_than_it_has_to(tmp_path, monkeypatch):
    """Of 250 frames with B-frames between, far fewer than all up to the one that is wanted."""
    path = write_video(tmp_path / 'long.mp4', 240, gop=250, options={'x264-params': 'bframes=3'})
    reader = PyAVReader(str(path))
    last = int(reader.index.pts[-1])
    decoded = sum(1 for _ in reader._frames_from(0, {last}))
    assert decoded < 0.7 * reader.num_frames
    assert numbers(reader.get_frames(np.array([200, 239]))) == [200, 239]


@pytest.mark.parametrize('name', ['closed GOP', 'open GOP', 'pyramid of B-frames', 'VP9'])
def test_pyav_begins_at_the_keyframe_before_and_not_earlier(name, video_of):
    reader = PyAVReader(video_of(name))
    for key, pts in enumerate(reader.index.key_pts.tolist()):
        found, frames = reader._land(key, set())
        assert found == key and next(frames)[0].pts == pts


def test_torchcodec_without_ffmpeg_is_not_the_files_fault(video, monkeypatch):
    """Some releases look for it when they are imported, some when they are used."""

    def without_ffmpeg(*args, **kwargs):
        raise RuntimeError('Could not load libtorchcodec. Likely causes: ...')

    decoders = SimpleNamespace(VideoDecoder=without_ffmpeg)
    monkeypatch.setitem(sys.modules, 'torchcodec', SimpleNamespace(decoders=decoders))
    monkeypatch.setitem(sys.modules, 'torchcodec.decoders', decoders)
    with pytest.raises(ImportError, match='apt install ffmpeg'):
        TorchCodecReader(str(video)).get_frames(np.array([0]))
