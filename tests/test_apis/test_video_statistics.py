"""What a video is like, against FFmpeg's own filters and closed forms."""

import json
import os
import shutil
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from mmvidssl.apis import describe_video, describe_videos, video_statistics
from mmvidssl.apis.video_statistics import sample_frames
from mmvidssl.datasets.readers import ShortVideoError, UndecodableVideoError
from tests.utils_broken_video import BREAKAGES
from tests.utils_tool import run_tool
from tests.utils_video import write_video

TOOL = 'analysis/video_statistics'


def ffmpeg(*arguments: str | Path, tool: str = 'ffmpeg') -> str:
    if not shutil.which(tool):
        pytest.skip(f'needs the {tool} command line')
    command = [tool, '-v', 'error', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def encode(path: Path, *inputs: str | Path, graph: str) -> Path:
    ffmpeg(*inputs, '-filter_complex', graph, '-pix_fmt', 'yuv420p', '-preset', 'ultrafast', path)
    return path


def filtered(path: Path, graph: str) -> list[dict[str, float]]:
    """What FFmpeg's filters say of each frame."""
    text = ffmpeg('-i', path, '-vf', f'{graph},metadata=print:file=-', '-f', 'null', '-')
    blocks = [block.splitlines()[1:] for block in text.split('frame:')[1:]]
    return [{k: float(v) for k, _, v in (s.partition('=') for s in block)} for block in blocks]


@pytest.fixture(scope='module')
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('picture') / 'astronaut.png'
    cv2.imwrite(str(path), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope='module')
def film(tmp_path_factory, picture) -> Path:
    """A quick pan of 2 s, moving test pictures of 2 s that get darker, 2 s of a still."""
    return encode(
        tmp_path_factory.mktemp('film') / 'film.mp4',
        *('-loop', '1', '-t', '2', '-r', '30', '-i', picture),
        *('-f', 'lavfi', '-i', 'testsrc2=size=240x180:rate=30:duration=2'),
        *('-f', 'lavfi', '-i', 'smptebars=size=240x180:rate=30:duration=2'),
        graph='[0]crop=240:180:4*n:160[a];[1]fade=out:0:120[b];[a][b][2]concat=n=3',
    )


@pytest.fixture(scope='module')
def described(film):
    return describe_video(film)


def test_lightness_is_that_of_signalstats(film, described):
    expected = [frame['lavfi.signalstats.YAVG'] for frame in filtered(film, 'signalstats')]
    seen = [(expected[round(time * 30)] - 16) / 219 for time in described['frames']['time']]
    np.testing.assert_allclose(described['frames']['lightness'], seen, atol=0.01)
    assert np.ptp(seen) > 0.1


def test_cuts_are_those_of_scdet(film, described, tmp_path):
    found = [frame.get('lavfi.scd.time') for frame in filtered(film, 'scdet')]
    assert described['cuts'] == pytest.approx(
        [time for time in found if time is not None], abs=1e-3
    )
    assert described['cuts'] == pytest.approx([2, 4]) and described['summary']['shots'] == 3
    motion = describe_video(film, 1000)['frames']['motion']  # of each frame that has a next one
    assert len(motion) == 179 - 2 and max(motion) < 1
    last = encode(tmp_path / 'last.mp4', '-i', film, graph='trim=end_frame=61')
    assert describe_video(last)['cuts'] == pytest.approx([2])  # at its last frame


def test_still_is_that_of_freezedetect(film, described):
    frames = filtered(film, 'freezedetect=duration=0.5')
    start = next(f['lavfi.freezedetect.freeze_start'] for f in frames if len(f))
    times, repeated = np.array(described['frames']['time']), described['frames']['repeated']
    np.testing.assert_array_equal(repeated, times >= start - 1e-3)
    assert described['summary']['repeated'] == pytest.approx(1 / 3, abs=0.05)


def test_repeated_frames_are_those_of_mpdecimate(tmp_path):
    """Of 10 frames a second shown as 30, of which every 15th is always the first of three."""
    source = 'testsrc2=size=240x180:rate=10:duration=8'
    path = encode(tmp_path / 'a.mp4', '-f', 'lavfi', '-i', source, graph='fps=30')
    kept = ffmpeg('-i', path, '-vf', 'mpdecimate', '-f', 'framecrc', '-').count('\n0,')
    expected = 1 - kept / 240
    assert expected == pytest.approx(2 / 3, abs=0.02)
    assert describe_video(path, 100)['summary']['repeated'] == pytest.approx(expected, abs=0.02)
    assert describe_video(path)['summary']['repeated'] == pytest.approx(expected, abs=0.25)


@pytest.mark.parametrize('step', [1, 3])
def test_motion_is_the_speed_of_a_pan(step, tmp_path, picture):
    path = encode(
        tmp_path / 'a.mp4',
        *('-loop', '1', '-t', '2', '-r', '24', '-i', picture),
        graph=f'crop=320:180:{step}*n:160',
    )
    assert describe_video(path)['summary']['motion'] == pytest.approx(step * 24 / 180, rel=0.1)


def test_sharpness_falls_as_blurdetect_rises(tmp_path, picture):
    ours, theirs = [], []
    for sigma in (0, 1, 2, 4):
        path = encode(
            tmp_path / f'{sigma}.mp4',
            *('-loop', '1', '-t', '0.5', '-r', '10', '-i', picture),
            graph=f'gblur={sigma}',
        )
        ours.append(describe_video(path)['summary']['sharpness'])
        theirs.append(np.mean([frame['lavfi.blur'] for frame in filtered(path, 'blurdetect')]))
    assert sorted(ours, reverse=True) == ours and sorted(theirs) == theirs
    assert ours[0] > 10 * ours[-1]


def test_facts_are_those_of_ffprobe(film, described, tmp_path):
    turned = write_video(tmp_path / 'turned.mkv', num_frames=7, fps=25, matrix=(0, -1, 1, 0))
    for path, found in (film, described), (turned, describe_video(turned)):
        entries = 'stream=width,height,avg_frame_rate:format=duration'
        data = json.loads(ffmpeg('-show_entries', entries, '-of', 'json', path, tool='ffprobe'))
        (stream,) = data['streams']
        over, under = map(int, stream['avg_frame_rate'].split('/'))
        assert found['fps'] == pytest.approx(over / under, rel=1e-3)
        assert found['duration'] == pytest.approx(float(data['format']['duration']), abs=0.01)
        size = (stream['width'], stream['height'])
        assert (found['width'], found['height']) == (size if path == film else size[::-1])


def test_frames_are_drawn_from_all_of_a_video():
    times = np.arange(1000) / 30
    numbers = sample_frames(times, 2)
    assert numbers[0] == 0 and numbers[-1] == 998 and (np.diff(numbers) > 0).all()
    assert set(np.floor(times[numbers] * 2)) == set(range(67))
    assert len(set(numbers % 15)) > 10
    np.testing.assert_array_equal(numbers, sample_frames(times, 2))
    assert sample_frames(np.array([0, 1e15]), 2).tolist() == [0]  # a time that is wrong


def test_errors_name_the_file(tmp_path):
    with pytest.raises(ShortVideoError, match='one.mp4'):
        describe_video(write_video(tmp_path / 'one.mp4', num_frames=1))
    assert describe_video(write_video(tmp_path / 'two.mp4', num_frames=2))['num_frames'] == 2
    for size in '600x16', '14x600':
        source = f'testsrc2=size={size}:rate=10:duration=0.4'
        encode(tmp_path / f'{size}.mp4', '-f', 'lavfi', '-i', source, graph='null')
    with pytest.raises(ShortVideoError, match='14x600.mp4'):
        describe_video(tmp_path / '14x600.mp4')
    assert np.isfinite(list(describe_video(tmp_path / '600x16.mp4')['summary'].values())).all()
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(UndecodableVideoError, match='text.mp4'):
        describe_video(tmp_path / 'text.mp4')
    for numbers in (0, 2), (2, -1), (float('nan'), 2):
        with pytest.raises(ValueError, match=str(min(numbers))):
            describe_video(tmp_path / 'two.mp4', numbers[0], None, numbers[1])


class Page(HTMLParser):
    """What a page would fetch, and the curves it draws."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses, self.curves, self.num_cuts = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.addresses += [found[key] for key in ('src', 'href') if key in found]
        self.curves += json.loads(found['data-curves']) if 'data-curves' in found else []
        self.num_cuts += tag == 'i'


def page_of(out: Path) -> Page:
    return Page((out / 'statistics.html').read_text())


def read_json(out: Path) -> dict:
    return json.loads((out / 'statistics.json').read_text())


def test_tool_goes_on_after_broken_videos(film, tmp_path, capsys):
    broken = [tmp_path / f'{name}.mp4' for name in ('empty', 'text', 'cut at 50 %', 'a folder')]
    for path in broken:
        BREAKAGES[path.stem](film, path)
    broken.append(tmp_path / '<gone>.mp4')
    small = write_video(tmp_path / 'film.mp4', num_frames=8)
    code = run_tool(TOOL, *broken, film, small, '--out', tmp_path / 'out')
    assert code == 1
    told = capsys.readouterr().err
    data = read_json(tmp_path / 'out')
    assert list(data['failed']) == [str(path) for path in broken]
    assert all(path.name in data['failed'][str(path)] and path.name in told for path in broken)
    assert [video['path'] for video in data['videos']] == [str(film), str(small)]
    assert data['videos'][0]['summary'] == describe_video(film)['summary']
    html = (tmp_path / 'out/statistics.html').read_text()
    assert '&lt;gone&gt;' in html and '<gone>' not in html and '3840 × 2160' in html
    page = Page(html)
    assert page.addresses == ['data:,'] and page.num_cuts == 2 + len(data['videos'][1]['cuts'])
    first, second, *_ = page.curves  # of one name in different folders
    assert (first['name'], second['name']) == (str(film), str(small))
    np.testing.assert_allclose(first['y'], data['videos'][0]['frames']['lightness'], rtol=1e-4)
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert names == {'statistics.json', 'statistics.html', '.statistics.json.lock'}


def test_stop_loses_nothing(film, tmp_path, capsys, monkeypatch):
    small = write_video(tmp_path / 'small.mp4', num_frames=8)
    whole, out = tmp_path / 'whole', tmp_path / 'out'
    assert run_tool(TOOL, small, film, '--out', whole) == 0
    read = video_statistics.measure_pair
    left = iter(range(np.random.default_rng().integers(4, 12)))  # of which small.mp4 takes up to 4

    def stop(*arguments):
        if next(left, None) is None:
            signal.raise_signal(signal.SIGINT)
        return read(*arguments)

    monkeypatch.setattr(video_statistics, 'measure_pair', stop)
    assert run_tool(TOOL, small, film, '--out', out) == 130
    assert capsys.readouterr().err.splitlines()[-1].count('goes on') == 1
    monkeypatch.undo()
    state = os.stat(small)
    small.write_bytes(bytes(state.st_size))
    os.utime(small, ns=(state.st_atime_ns, state.st_mtime_ns))  # it is not read again
    assert run_tool(TOOL, small, film, '--out', out, '--every', 3) == 0  # of a detector only
    for name in 'statistics.json', 'statistics.html':
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    before = read_json(out)
    assert run_tool(TOOL, small, '--out', out, '--per-second', 3) == 1  # other settings
    assert read_json(out)['videos'] == before['videos']
    os.utime(small)  # another file
    assert run_tool(TOOL, small, film, '--out', whole) == 1
    assert list(read_json(whole)['failed']) == [str(small)]
    assert read_json(whole)['videos'] == before['videos']
    assert len(page_of(whole).curves) == 3
    assert film.name in (whole / 'statistics.html').read_text()


def test_other_videos_stay_in_the_file(tmp_path):
    """Those of other calls, and one that is away for a moment; the page shows what is asked for."""
    first, second = (write_video(tmp_path / f'{name}.mp4', num_frames=4) for name in 'ab')
    describe_videos([first], tmp_path)
    (found,) = read_json(tmp_path)['videos']
    describe_videos([second], tmp_path, per_second=3)
    both = read_json(tmp_path)['videos']
    assert both[0] == found and both[1]['path'] == str(second)
    assert [video['settings']['per_second'] for video in both] == [2, 3]
    assert {curve['name'] for curve in page_of(tmp_path).curves} == {'b.mp4'}
    first.rename(tmp_path / 'away')
    assert list(describe_videos([first, second], tmp_path, per_second=3)) == [str(first)]
    data = read_json(tmp_path)
    assert data['videos'] == both and list(data['failed']) == [str(first)]
    assert {curve['name'] for curve in page_of(tmp_path).curves} == {'b.mp4'}
    (tmp_path / 'away').rename(first)
    assert describe_videos([first], tmp_path) == {}  # nothing is left of that failure
    assert read_json(tmp_path) == dict(failed={}, videos=both)
    assert {curve['name'] for curve in page_of(tmp_path).curves} == {'a.mp4'}


def test_detector_that_fails_stops_no_other(film, tmp_path):
    """As OpenCV does by an error of its own, and torch by a RuntimeError."""
    tall, low = (write_video(tmp_path / f'{size}.mp4', 2, size) for size in ((64, 96), (48, 96)))

    def detect(frame):
        if frame.shape[0] == 64:
            cv2.resize(frame[:0], (8, 8))
        if frame.shape[0] == 48:
            torch.zeros(2) @ torch.zeros(3)
        return ['dog', 'dog', 'cat']

    failed = describe_videos([tall, low, film], tmp_path, 1, ('a detector <i>', detect), 3)
    assert list(failed) == [str(tall), str(low)]
    assert all(reason.startswith(path) for path, reason in failed.items())
    (video,) = read_json(tmp_path)['videos']
    assert video['objects']['counts'] == [dict(dog=2, cat=1)] * 4
    html = (tmp_path / 'statistics.html').read_text()
    assert 'a detector &lt;i&gt;' in html
    assert [set(curve['y']) for curve in Page(html).curves[-2:]] == [{3}, {2}]


def test_tool_refuses(film, tmp_path, capsys):
    out = tmp_path / 'out'
    assert run_tool(TOOL, film, '--out', out, '--per-second', 0) == 2
    assert run_tool(TOOL, film, '--out', out, '--detector', film, tmp_path / 'gone.pth') == 2
    assert 'gone.pth' in capsys.readouterr().err
    assert run_tool(TOOL, film, '--out', film) == 2
    assert not out.exists()
    out.mkdir()
    for text in '{', '[]', '{"settings": 0}':
        (out / 'statistics.json').write_text(text)
        assert run_tool(TOOL, film, '--out', out) == 2
        assert str(out / 'statistics.json') in capsys.readouterr().err
