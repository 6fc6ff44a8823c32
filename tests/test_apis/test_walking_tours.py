"""Walking Tours: downloaded by yt-dlp itself from a server on this machine, verified, prepared."""

import hashlib
import json
import re
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mmvidssl.apis import download_tour, verify_tour, walking_tours
from mmvidssl.datasets import VideoError, VideoListDataset, WalkingToursDataset
from mmvidssl.datasets.walking_tours_videos import MIRROR, WALKING_TOURS, TourVideo
from tests.utils_tool import run_tool
from tests.utils_video import write_video


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """3 seconds of 64 x 96 pixels."""
    return write_video(tmp_path_factory.mktemp('videos') / 'v.mp4')


class Server(ThreadingHTTPServer):
    """Serves one file, and breaks off after so many bytes; keeps the ranges that were asked for."""

    def __init__(self, data):
        super().__init__(('127.0.0.1', 0), Handler)
        self.data, self.breaks_after, self.ranges = data, None, []
        self.url = f'http://127.0.0.1:{self.server_port}/v.mp4'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get('Range')
        start = int(re.match(r'bytes=(\d+)-', asked)[1]) if asked else 0
        data = self.server.data
        self.server.ranges.append(start)
        self.send_response(206 if asked else 200)
        self.send_header('Content-Type', 'video/mp4')
        self.send_header('Content-Length', str(len(data) - start))
        self.send_header('Content-Range', f'bytes {start}-{len(data) - 1}/{len(data)}')
        self.end_headers()
        self.wfile.write(data[start:][: self.server.breaks_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(video, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with Server(video.read_bytes()) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != '.lock')


def test_download_goes_on_where_it_was_broken_off(server, tmp_path, monkeypatch):
    pytest.importorskip('yt_dlp')
    venice = TourVideo('Venice', server.url)
    server.breaks_after = at = len(server.data) // 3
    for _ in range(2):
        with pytest.raises(OSError, match='figshare'):
            download_tour(venice, tmp_path)
        assert names(tmp_path) == ['venice.mp4.part']
    with pytest.raises(OSError, match='figshare'):
        download_tour(venice, tmp_path, 'no such [format')
    server.breaks_after = None
    record = download_tour(venice, tmp_path)
    assert names(tmp_path) == ['venice.download.json', 'venice.mp4']
    assert (tmp_path / 'venice.mp4').read_bytes() == server.data
    assert record == json.loads((tmp_path / 'venice.download.json').read_text())
    assert record['sha256'] == hashlib.sha256(server.data).hexdigest()
    assert record['url'] == server.url
    assert [start for start in server.ranges if start] == [at, 2 * at]
    asked = len(server.ranges)
    monkeypatch.setitem(sys.modules, 'yt_dlp', None)  # a whole file needs neither it nor a network
    assert download_tour(venice, tmp_path) == record
    assert len(server.ranges) == asked


def test_own_file_is_recorded_without_yt_dlp(video, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'yt_dlp', None)
    with pytest.raises(ImportError, match=re.escape(MIRROR)):
        download_tour(WALKING_TOURS[4], tmp_path)
    assert names(tmp_path) == []
    shutil.copy(video, tmp_path / 'Kuala Lumpur.mp4')
    record = download_tour(WALKING_TOURS[4], tmp_path)
    assert record['file'] == 'Kuala Lumpur.mp4' and record['bytes'] == video.stat().st_size


def test_facts_fit_the_data_set():
    assert [tour.city for tour in WALKING_TOURS] == list(WalkingToursDataset.METAINFO['cities'])
    assert len({tour.url for tour in WALKING_TOURS}) == 10
    assert all(re.fullmatch(r'https://\S+/watch\?v=[\w-]{11}', t.url) for t in WALKING_TOURS)


@pytest.fixture
def small_tours(monkeypatch):
    """The paper's numbers, as if its videos were small."""
    monkeypatch.setattr(walking_tours, 'SIZE', (96, 64))
    monkeypatch.setattr(walking_tours, 'FPS', 10)
    monkeypatch.setattr(walking_tours, 'MINUTES', (0, 1))


def problems_of(*arguments, **options):
    with pytest.raises(VideoError) as caught:
        verify_tour(*arguments, **options)
    return str(caught.value)


def test_verify_finds_what_differs_from_the_paper(video, tmp_path):
    shutil.copy(video, tmp_path / 'bangkok.mp4')
    problems = problems_of(WALKING_TOURS[1], tmp_path)
    assert all(found in problems for found in ('bangkok', '(96, 64)', '10.00 fr', '0.1 min'))


def test_verify_finds_damage(video, tmp_path, small_tours):
    amsterdam = WALKING_TOURS[0]
    assert 'no video of Amsterdam' in problems_of(amsterdam, tmp_path)
    path = tmp_path / 'amsterdam.mp4'
    shutil.copy(video, path)
    download_tour(amsterdam, tmp_path)
    assert '96 x 64, 10.00 fps' in verify_tour(amsterdam, tmp_path, with_cuts=False)
    data = bytearray(video.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert 'download.json' in problems_of(amsterdam, tmp_path, with_cuts=False)
    path.write_bytes(data[:3000])
    assert 'amsterdam.mp4' in problems_of(amsterdam, tmp_path)
    with pytest.raises(OSError, match='download.json'):  # and is not recorded anew
        download_tour(amsterdam, tmp_path)


@pytest.mark.parametrize('cut', [None, 17])
def test_cuts_and_no_others(cut, tmp_path, small_tours, monkeypatch):
    """Walking past a picture, and then past another one from frame 17 (of 10 a second) on."""
    data = pytest.importorskip('skimage.data')
    pictures = data.astronaut(), np.repeat(data.grass()[..., None], 3, axis=2)

    monkeypatch.setattr(walking_tours, 'SIZE', (192, 128))

    def draw(number, size):
        picture = pictures[cut is not None and number >= cut]
        return np.ascontiguousarray(picture[100 : 100 + size[0], 3 * number : 3 * number + size[1]])

    write_video(tmp_path / 'zurich.mp4', 40, (128, 192), draw=draw)
    if cut is None:
        assert '192 x 128' in verify_tour(WALKING_TOURS[8], tmp_path)
    else:
        assert 'at seconds [1.7]' in problems_of(WALKING_TOURS[8], tmp_path)


def test_prepare_one_task_each(video, tmp_path, capsys):
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for name in ('Venice.mp4', 'chiang-mai.mp4'):
        shutil.copy(video, folder / name)
    command = ('datasets/walking_tours', 'prepare', folder, '--out', out, '--short-side', 32)
    for index, code in ((7, 0), (2, 0), (3, 2), (10, 2)):  # without a video, out of range
        assert run_tool(*command, '--index', index, '--workers', 1) == code
    assert (out / 'train.txt').read_text() == 'Venice.proxy.mp4\nchiang-mai.proxy.mp4\n'
    assert 'Istanbul' in capsys.readouterr().err
    assert run_tool(*command, '--workers', 1) == 1  # the others are missing
    output = capsys.readouterr()
    assert output.out.count('was there already') == 2 and output.err.count('failed: ') == 8
    dataset = VideoListDataset(str(out / 'train.txt'), data_root=str(out))
    assert len(dataset) == 2
    assert len(WalkingToursDataset(str(out), ['venice', 'chiang mai'], clip_len=2)) > 2


def test_list_and_verify_as_commands(video, tmp_path, capsys, small_tours):
    shutil.copy(video, tmp_path / 'zurich.mp4')
    assert run_tool('datasets/walking_tours', 'list', tmp_path) == 0
    out = capsys.readouterr().out
    assert out.count('https://www.youtube.com') == 10 and out.count('not verified here') == 9
    assert str(tmp_path / 'zurich.mp4') in out and MIRROR in out
    command = ('datasets/walking_tours', 'verify', tmp_path, '--no-cuts')
    assert run_tool(*command, '--cities', 'zurich') == 0
    assert run_tool(*command, '--cities', 'zurich', 'venice') == 1
    assert 'failed: Venice: ' in capsys.readouterr().err
    assert run_tool(*command, '--cities', 'rome') == 2
