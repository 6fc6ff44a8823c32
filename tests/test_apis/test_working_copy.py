"""Small copies of videos, checked frame by frame."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from mmvidssl.apis import working_copy as module
from mmvidssl.apis import write_working_copy
from mmvidssl.datasets.readers import EmptyVideoError, PyAVReader, VideoError

FPS = 20


def make_video(path, frames, fps=FPS, gop=30):
    """H.264 with few key frames, lossless enough to recognise every frame."""
    with av.open(str(path), 'w') as sink:
        stream = sink.add_stream('libx264', rate=Fraction(fps))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '12', 'g': str(gop), 'sc_threshold': '0'}
        for frame in frames:
            sink.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        sink.mux(stream.encode())
    return path


def bar_left(index, width=96):
    turn = width - 8
    return turn - abs(2 * index % (2 * turn) - turn)


def shot(num_frames, background, size=(64, 96)):
    """A bright bar over a plain background; it moves two pixels a frame, to and fro."""
    frames = np.full((num_frames, *size, 3), background, np.uint8)
    for i, frame in enumerate(frames):
        left = bar_left(i, size[1])
        frame[:, left : left + 8] = 250
    return list(frames)


def bar_positions(path):
    reader = PyAVReader(str(path))
    frames = reader.get_frames(np.arange(reader.num_frames))
    return frames[..., 0].astype(int).mean(1).argmax(1)


def test_short_video_is_copied_whole_and_frame_by_frame(tmp_path):
    video = make_video(tmp_path / 'a.mp4', shot(50, 20, (128, 192)))
    copy = write_working_copy(video, tmp_path / 'copy', 30, short_side=64, show_progress=False)
    assert copy.whole and len(copy.pieces) == 1
    piece = copy.pieces[0]
    assert piece.num_frames == 50 and piece.duration == pytest.approx(2.5)
    reader = PyAVReader(str(piece.path))
    frames = reader.get_frames(np.array([49, 0, 17]))
    assert frames.shape == (3, 64, 96, 3)
    np.testing.assert_allclose(reader.timestamps, np.arange(50) / FPS, atol=1e-3)
    # Half the size: the bar is 4 wide.
    for frame, i in zip(frames, (49, 0, 17), strict=True):
        left = bar_left(i, 192) // 2
        assert frame[:, left : left + 4].min() > 200
        assert np.delete(frame, np.s_[max(left - 1, 0) : left + 5], axis=1).max() < 60


def test_every_frame_of_the_copy_is_a_key_frame(tmp_path):
    video = make_video(tmp_path / 'a.mp4', shot(30, 20))
    copy = write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)
    with av.open(str(copy.pieces[0].path)) as container:
        assert all(p.is_keyframe for p in container.demux(video=0) if p.size)


def test_no_file_crosses_a_cut_and_short_shots_are_left_out(tmp_path):
    frames = shot(30, 20) + shot(8, 200) + shot(45, 90)
    video = make_video(tmp_path / 'a.mp4', frames)
    copy = write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)
    assert [p.num_frames for p in copy.pieces] == [30, 45]
    assert [p.start for p in copy.pieces] == pytest.approx([0, 38 / FPS])
    assert sorted((tmp_path / 'copy').glob('*.mp4')) == sorted(p.path for p in copy.pieces)
    listed = (tmp_path / 'copy' / 'videos.txt').read_text().splitlines()
    assert listed == [p.path.name for p in copy.pieces]
    for piece, background in zip(copy.pieces, (20, 90), strict=True):
        reader = PyAVReader(str(piece.path))
        edges = reader.get_frames(np.array([0, reader.num_frames - 1]))
        np.testing.assert_allclose(np.median(edges, axis=(1, 2, 3)), background, atol=4)


def test_fast_motion_and_a_slow_fade_are_no_cuts(tmp_path):
    fade = [np.full((64, 96, 3), 20 + 4 * i, np.uint8) for i in range(50)]
    video = make_video(tmp_path / 'a.mp4', fade)
    copy = write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)
    assert [p.num_frames for p in copy.pieces] == [50]


def test_high_frame_rates_are_thinned_out(tmp_path):
    video = make_video(tmp_path / 'a.mp4', shot(120, 20), fps=60)
    piece = write_working_copy(video, tmp_path / 'copy', 30, show_progress=False).pieces[0]
    assert piece.num_frames == 60
    np.testing.assert_array_equal(np.diff(bar_positions(piece.path))[:10], 4)


def test_long_video_gives_evenly_spread_stretches_within_its_length(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'MAX_FRAMES', 10 * FPS)  # as if 10 s were all that is affordable
    monkeypatch.setattr(module, 'MIN_STRETCH', 2.0)
    video = make_video(tmp_path / 'a.mp4', shot(40 * FPS, 20, (32, 48)))
    copy = write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)
    assert not copy.whole and copy.source_seconds == pytest.approx(40)
    assert len(copy.pieces) == 5
    starts = [p.start for p in copy.pieces]
    assert all(p.duration == pytest.approx(2.0, abs=0.1) for p in copy.pieces)
    gaps = [b - a for a, b in pairwise(starts)]
    assert min(gaps) > 6 and max(gaps) < 10  # 8 s apart, give or take a key frame
    assert starts[0] < 4 and starts[-1] > 33


def test_stretches_do_not_overlap_where_key_frames_are_rare(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'MAX_FRAMES', 10 * FPS)
    monkeypatch.setattr(module, 'MIN_STRETCH', 2.0)
    video = make_video(tmp_path / 'a.mp4', shot(20 * FPS, 20, (32, 48)), gop=1000)
    copy = write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)
    assert len(copy.pieces) >= 4
    assert all(b.start >= a.start + a.duration for a, b in pairwise(copy.pieces))


def test_spent_budget_ends_the_copying_after_two_stretches(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_measure_speed', lambda *args: (10.0, FPS))
    monkeypatch.setattr(module, 'MIN_STRETCH', 2.0)
    video = make_video(tmp_path / 'a.mp4', shot(60 * FPS, 20, (32, 48)))
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(module.time, 'monotonic', lambda: next(clock))
    copy = write_working_copy(video, tmp_path / 'copy', 1.0, show_progress=False)
    assert len(copy.pieces) == 2


@pytest.mark.parametrize(
    ('content', 'error'), [(None, FileNotFoundError), (b'', EmptyVideoError), (b'text', VideoError)]
)
def test_files_that_are_no_video_are_named(tmp_path, content, error):
    video = tmp_path / 'bad.mp4'
    if content is not None:
        video.write_bytes(content)
    with pytest.raises(error, match='bad.mp4'):
        write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)


def test_a_video_that_is_too_short_is_named(tmp_path):
    video = make_video(tmp_path / 'blink.mp4', shot(10, 20))
    with pytest.raises(ValueError, match=r'blink.mp4 is too short: at least 1 s .* lasts 0.50 s'):
        write_working_copy(video, tmp_path / 'copy', 30, show_progress=False)
