"""Walking Tours: downloaded by yt-dlp itself from a server on this machine, verified, prepared."""

import functools
import hashlib
import json
import re
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmvidssl.apis import (
    ProxySettings,
    download_tour,
    make_proxy,
    prepare_tours,
    verify_tour,
    walking_tours,
)
from mmvidssl.apis.proxies.one_video import only_this_process_makes
from mmvidssl.datasets import VideoError, VideoListDataset, WalkingToursDataset
from mmvidssl.datasets.walking_tours_videos import MIRROR, WALKING_TOURS, TourVideo
from tests.utils_tool import run_tool
from tests.utils_video import write_video


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """3 seconds of 64 x 96 pixels."""
    return write_video(tmp_path_factory.mktemp('videos') / 'v.mp4')


class Server(ThreadingHTTPServer):
    """Serves files by path, and breaks off after so many bytes; keeps the ranges asked for."""

    def __init__(self, data):
        super().__init__(('127.0.0.1', 0), Handler)
        self.data, self.breaks_after, self.ranges = data, None, []
        self.files = {'/v.mp4': data}
        self.root = f'http://127.0.0.1:{self.server_port}'
        self.url = f'{self.root}/v.mp4'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith('/moved'):
            self.send_response(302)
            self.send_header('Location', self.path[len('/moved') :])
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        asked = self.headers.get('Range')
        start = int(re.match(r'bytes=(\d+)-', asked)[1]) if asked else 0
        data = self.server.files[self.path]
        self.server.ranges.append(start)
        self.send_response(206 if asked else 200)
        kind = 'video/mp4' if self.path.endswith('.mp4') else 'application/octet-stream'
        self.send_header('Content-Type', kind)
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
    server.breaks_after = len(server.data) // 3
    kept = []
    for _ in range(2):
        with pytest.raises(OSError, match='figshare'):
            download_tour(venice, tmp_path)
        assert names(tmp_path) == ['.venice.download']
        (part,) = (tmp_path / '.venice.download').iterdir()
        kept.append(part.stat().st_size)  # the last of its blocks may be lost
        assert part.suffix == '.part' and kept[-1] > 0
    with pytest.raises(ValueError, match='no such'):
        download_tour(venice, tmp_path, 'no such [format')
    server.breaks_after = None
    record = download_tour(venice, tmp_path)
    assert names(tmp_path) == ['venice.download.json', 'venice.mp4']
    assert (tmp_path / 'venice.mp4').read_bytes() == server.data
    assert record == json.loads((tmp_path / 'venice.download.json').read_text())
    assert record['sha256'] == hashlib.sha256(server.data).hexdigest()
    assert record['url'] == server.url
    assert [start for start in server.ranges if start] == kept and kept[0] < kept[1]
    asked = len(server.ranges)
    monkeypatch.setitem(sys.modules, 'yt_dlp', None)  # a whole file needs neither it nor a network
    assert download_tour(venice, tmp_path) == record
    assert len(server.ranges) == asked


def stop_at(number, work):
    """Do work, and interrupt it in the ``number``-th call in our files; returns their number."""
    count = 0

    def look(frame, event, argument):
        nonlocal count
        if event.endswith('call') and 'mmvidssl' in frame.f_code.co_filename:
            count += 1
            if count == number:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        work()
    except KeyboardInterrupt:
        assert count == number
    finally:
        sys.setprofile(None)
    return count


def test_download_stopped_anywhere_knows_its_source(server, tmp_path):
    pytest.importorskip('yt_dlp')
    venice = TourVideo('Venice', server.url)
    record = download_tour(venice, tmp_path / 'whole')
    num_calls = stop_at(0, lambda: download_tour(venice, tmp_path / 'counted'))
    numbers = np.random.default_rng(0).choice(num_calls, 4, replace=False) + 1
    for number in (*numbers, num_calls):  # the last is before the folder is removed
        folder = tmp_path / str(number)
        stop_at(number, functools.partial(download_tour, venice, folder))
        if (folder / 'venice.mp4').exists():
            assert (folder / 'venice.mp4').read_bytes() == server.data
        assert download_tour(venice, folder) == record
        assert (folder / 'venice.mp4').read_bytes() == server.data
        assert names(folder) == ['venice.download.json', 'venice.mp4']


@pytest.mark.parametrize('name', ['v.mp4', 'v'])
def test_mirror_is_not_mixed_with_what_was_begun(name, server, tmp_path):
    """Its links lead elsewhere, perhaps to files whose kind and suffix nobody tells."""
    pytest.importorskip('yt_dlp')
    url = f'{server.root}/moved/1/{name}'
    server.files[f'/1/{name}'] = mirrored = server.data[::-1]
    server.breaks_after = len(server.data) // 2
    venice = TourVideo('Venice', server.url)
    command = ('datasets/walking_tours', 'download', tmp_path, '--url', url)
    with pytest.raises(OSError, match='figshare'):
        download_tour(venice, tmp_path)
    server.breaks_after = None
    assert run_tool(*command, '--cities', 'venice', 'zurich') == 2  # whose is it?
    assert run_tool(*command, '--cities', 'venice') == 0
    assert names(tmp_path) == ['venice.download.json', 'venice.mp4']
    assert (tmp_path / 'venice.mp4').read_bytes() == mirrored
    record = json.loads((tmp_path / 'venice.download.json').read_text())
    assert record['url'] == url


@pytest.mark.parametrize('text', ['{"file": "ven', '[1]', '{"file": "venice.mp4"}'])
def test_damaged_record_is_named(text, video, tmp_path):
    shutil.copy(video, tmp_path / 'venice.mp4')
    (tmp_path / 'venice.download.json').write_text(text)
    with pytest.raises(OSError, match=re.escape('venice.download.json')):
        download_tour(WALKING_TOURS[7], tmp_path)
    with pytest.raises(OSError, match=re.escape('venice.download.json')):
        verify_tour(WALKING_TOURS[7], tmp_path, with_cuts=False)


def test_proxy_is_no_download(video, tmp_path):
    """Nor does one beside the video make the video ambiguous, but no new ones are made there."""
    make_proxy(video, tmp_path / 'venice.proxy.mp4')
    venice = WALKING_TOURS[7]
    assert 'no video of Venice' in problems_of(venice, tmp_path)
    shutil.copy(video, tmp_path / 'venice.mp4')
    assert download_tour(venice, tmp_path)['file'] == 'venice.mp4'
    for out in (tmp_path, tmp_path / 'proxies'):
        with pytest.raises(ValueError, match=re.escape(str(out))):
            prepare_tours([venice], tmp_path, out)


def test_own_file_is_recorded_without_yt_dlp(video, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'yt_dlp', None)
    with pytest.raises(ImportError, match=re.escape(MIRROR)):
        download_tour(WALKING_TOURS[4], tmp_path)
    assert names(tmp_path) == []
    shutil.copy(video, tmp_path / 'Kuala Lumpur.mp4')
    (tmp_path / '.kuala_lumpur.download').mkdir()  # was begun with yt-dlp
    record = download_tour(WALKING_TOURS[4], tmp_path)
    assert names(tmp_path) == ['Kuala Lumpur.mp4', 'kuala_lumpur.download.json']
    assert record['file'] == 'Kuala Lumpur.mp4' and record['bytes'] == video.stat().st_size


def test_facts_fit_the_data_set():
    assert [tour.city for tour in WALKING_TOURS] == list(WalkingToursDataset.METAINFO['cities'])
    assert len({tour.url for tour in WALKING_TOURS}) == 10
    assert all(re.fullmatch(r'https://\S+/watch\?v=[\w-]{11}', t.url) for t in WALKING_TOURS)


@pytest.fixture
def warned(monkeypatch):
    """Warnings that are logged."""
    messages = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', messages.append)
    return messages


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
    problems = problems_of(amsterdam, tmp_path, with_cuts=False)
    assert 'download.json: remove it' in problems  # or else it is taken for the right one
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
    for name in ('Venice.mp4', 'chiang-mai.mp4', 'zurich.mp4', 'Zurich.mov'):
        shutil.copy(video, folder / name)
    command = ('datasets/walking_tours', 'prepare', folder, '--out', out, '--short-side', 32)
    for index, code in ((7, 0), (2, 0), (3, 1), (10, 2)):  # without a video, out of range
        assert run_tool(*command, '--index', index, '--workers', 1) == code
    assert (out / 'train.txt').read_text() == 'Venice.proxy.mp4\nchiang-mai.proxy.mp4\n'
    assert 'Istanbul' in capsys.readouterr().err
    for path in 'rome.proxy.mp4', 'rome.proxy.json':  # damaged, of nobody that is asked for
        (out / path).write_text('{')
    assert run_tool(*command, '--workers', 1, '--cities', 'all') == 1  # the others are missing
    output = capsys.readouterr()
    assert output.out.count('was there already') == 2 and output.err.count('failed: ') == 9
    assert 'failed: Zurich: ' in output.err and 'rome.proxy.json' in output.err
    dataset = VideoListDataset(str(out / 'train.txt'), data_root=str(out))
    assert len(dataset) == 2
    assert len(WalkingToursDataset(str(out), ['venice', 'chiang mai'], clip_len=2)) > 2


def test_train_list_has_no_other_settings(video, tmp_path, warned):
    """Those that were made without the blur that is asked for now are refused, and not listed."""
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    shutil.copy(video, folder / 'venice.mp4')
    prepare_tours([WALKING_TOURS[7]], folder, out, settings=ProxySettings(quality=80), workers=1)
    assert (out / 'train.txt').read_text() == 'venice.proxy.mp4\n' and not warned
    made = prepare_tours([WALKING_TOURS[7]], folder, out, workers=1)
    assert list(made.failed) == [str(folder / 'venice.mp4')] and not made.proxies
    assert not (out / 'train.txt').exists() and warned.pop().count('venice.proxy.mp4') == 1
    shutil.copy(video, folder / 'zurich.mp4')
    (out / 'torn.proxy.mp4').touch()  # without a manifest: another task is at it
    made = prepare_tours(WALKING_TOURS[7:9], folder, out, workers=1)
    assert [Path(video).name for video in made.failed] == ['venice.mp4']
    assert (out / 'train.txt').read_text() == 'zurich.proxy.mp4\n'
    assert warned.pop().count('venice.proxy.mp4') == 1
    for cities in ['venice'], ['zurich'], ['venice', 'zurich']:
        assert not warned
        assert len(WalkingToursDataset(str(out), cities, clip_len=2)) > 2
    assert len(warned) == 1 and str(out) in warned[0]
    (out / 'venice.proxy.json').unlink()  # it is not needed
    assert len(WalkingToursDataset(str(out), cities, clip_len=2)) > 2


def test_train_list_of_tasks_that_end_at_once(video, tmp_path):
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for name in ('venice.mp4', 'zurich.mp4'):
        shutil.copy(video, folder / name)
    task = threading.Thread(
        target=prepare_tours, args=(WALKING_TOURS[7:8], folder, out), kwargs=dict(workers=1)
    )
    zurich = make_proxy(folder / 'zurich.mp4', tmp_path / 'zurich.proxy.mp4').path
    out.mkdir()
    with only_this_process_makes(out / 'train.txt'):  # as the other task, which is writing it
        task.start()
        end = time.monotonic() + 60
        while not (out / 'venice.proxy.json').exists() and time.monotonic() < end:
            time.sleep(0.01)
        for name in 'zurich.proxy.mp4', 'zurich.proxy.json':
            shutil.move(Path(zurich).with_name(name), out)
        assert task.is_alive() and (out / 'venice.proxy.json').exists()
    task.join(30)
    assert (out / 'train.txt').read_text() == 'venice.proxy.mp4\nzurich.proxy.mp4\n'


def test_list_and_verify_as_commands(video, tmp_path, capsys, small_tours):
    shutil.copy(video, tmp_path / 'zurich.mp4')
    assert run_tool('datasets/walking_tours', 'list', tmp_path) == 0
    out = capsys.readouterr().out
    assert out.count('https://www.youtube.com') == 10 and out.count('not verified here') == 10
    assert str(tmp_path / 'zurich.mp4') in out and MIRROR in out
    command = ('datasets/walking_tours', 'verify', tmp_path, '--no-cuts')
    assert run_tool(*command, '--cities', 'zurich') == 0
    assert run_tool(*command, '--cities', 'zurich', 'venice') == 1
    assert 'failed: Venice: ' in capsys.readouterr().err
    assert run_tool(*command, '--cities', 'rome') == 2
