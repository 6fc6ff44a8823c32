"""A proxy holds the right frames at the right times, and an interrupted one ends up the same."""

import os
import shutil
import signal
import sys

import numpy as np
import pytest

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.apis.proxy_source import choose_frames, inspect_source
from mmvidssl.datasets.readers import (
    PackWriter,
    ProxyReader,
    UndecodableVideoError,
    VideoError,
    open_pack,
    verify_pack,
)
from mmvidssl.datasets.readers.proxy_pack import read_image_bytes
from tests.utils_proxy import decode_all, in_fork, rotate_video
from tests.utils_video import read_frame_number, write_video

EXACT = ProxySettings(fps=4, format='png')


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """100 frames at 10 fps, larger than the proxies made of it."""
    folder = tmp_path_factory.mktemp('videos')
    return write_video(folder / 'walk.mp4', num_frames=100, size=(128, 192))


def check_frames(proxy, video, fps):
    """Every frame and time of a proxy without loss against decoding the whole video."""
    times, frames = decode_all(video)
    chosen = choose_frames(times, fps)
    reader = ProxyReader(str(proxy))
    np.testing.assert_allclose(reader.timestamps, times[chosen], atol=1e-9)
    for frame, number in zip(reader.get_frames(np.arange(len(chosen))), chosen, strict=True):
        np.testing.assert_array_equal(frame, frames[number])


def test_constant_rate(video, tmp_path):
    made = make_proxy(video, tmp_path / 'a.frames', EXACT)
    assert (made.num_frames, made.is_new) == (40, True)
    assert made.num_bytes == (tmp_path / 'a.frames').stat().st_size
    check_frames(made.path, video, 4)
    assert ProxyReader(made.path).timestamps[0] == 0


def test_variable_rate(tmp_path):
    times = [i / 5 for i in range(15)] + [3 + i / 20 for i in range(60)] + [9.0, 9.5]
    video = write_video(tmp_path / 'v.mp4', timestamps=times)
    make_proxy(video, tmp_path / 'v.frames', EXACT)
    check_frames(tmp_path / 'v.frames', video, 4)


@pytest.mark.parametrize('degrees', [90, 180, -90])
def test_rotated(video, tmp_path, degrees):
    turned = rotate_video(video, tmp_path / 'v.mp4', degrees)
    make_proxy(turned, tmp_path / 'v.frames', EXACT)
    check_frames(tmp_path / 'v.frames', turned, 4)
    make_proxy(turned, tmp_path / 'small.frames', ProxySettings(short_side=64))
    manifest = ProxyReader(str(tmp_path / 'small.frames')).manifest
    size = (64, 96) if degrees == 180 else (96, 64)
    assert (manifest['height'], manifest['width']) == size
    assert ProxyReader(str(tmp_path / 'small.frames')).get_frames([0]).shape == (1, *size, 3)


@pytest.mark.parametrize('kind, tolerance', [('jpeg', 12), ('webp', 12), ('png', 0)])
def test_formats(video, tmp_path, kind, tolerance):
    path = tmp_path / 'a.frames'
    make_proxy(video, path, ProxySettings(fps=1, format=kind))
    _, frames = decode_all(video)
    found = ProxyReader(str(path)).get_frames(np.arange(10)).astype(float)
    assert np.abs(found - frames[::10]).mean() <= tolerance
    assert [read_frame_number(frame) for frame in found] == list(range(0, 100, 10))


def test_quality_and_size_count(video, tmp_path):
    def num_bytes(**settings):
        path = tmp_path / 'a.frames'
        return make_proxy(video, path, ProxySettings(**settings), overwrite=True).num_bytes

    assert num_bytes(quality=30) < num_bytes() == num_bytes(quality=90) < num_bytes(quality=97)
    assert num_bytes(short_side=32) < num_bytes(short_side=64) < num_bytes()


def test_never_enlarges(video, tmp_path):
    make_proxy(video, tmp_path / 'a.frames', ProxySettings(short_side=720, fps=1))
    assert ProxyReader(str(tmp_path / 'a.frames')).get_frames([0]).shape == (1, 128, 192, 3)


def test_manifest(video, tmp_path):
    import hashlib

    make_proxy(video, tmp_path / 'a.frames', ProxySettings(short_side=64))
    manifest = ProxyReader(str(tmp_path / 'a.frames')).manifest
    assert manifest.pop('versions').keys() == {'mmvidssl', 'av', 'opencv'}
    assert manifest == dict(
        source=dict(
            name='walk.mp4',
            bytes=video.stat().st_size,
            sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
            duration=pytest.approx(9.9),
            fps=pytest.approx(10),
            num_frames=100,
            height=128,
            width=192,
        ),
        settings=dict(short_side=64, fps=4.0, format='jpeg', quality=90),
        height=64,
        width=96,
        num_frames=40,
    )


def test_a_finished_one_is_left_alone(video, tmp_path):
    path = tmp_path / 'a.frames'
    make_proxy(video, path, EXACT)
    before = path.stat()
    again = make_proxy(shutil.copy(video, tmp_path / 'copy.mp4'), path, EXACT)
    assert (again.num_frames, again.is_new) == (40, False)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert make_proxy(video, path, EXACT, overwrite=True).is_new
    assert path.stat().st_ino != before.st_ino


def test_another_one_is_not_replaced_unasked(video, tmp_path):
    path = tmp_path / 'a.frames'
    make_proxy(video, path, EXACT)
    with pytest.raises(ValueError, match=r"made with settings .*'fps': 4\.0.*--overwrite"):
        make_proxy(video, path, EXACT._replace(fps=2))
    other = write_video(tmp_path / 'b.mp4')
    with pytest.raises(ValueError, match='made with another video.*--overwrite'):
        make_proxy(other, path, EXACT)
    assert ProxyReader(str(path)).num_frames == 40


def test_a_damaged_one_is_made_again(video, tmp_path):
    path = tmp_path / 'a.frames'
    make_proxy(video, path, EXACT)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert make_proxy(video, path, EXACT).is_new
    assert path.read_bytes() == whole


@pytest.mark.parametrize('num_threads', [1, 3])
def test_killed_and_gone_on_with(video, tmp_path, num_threads):
    """By SIGKILL after 0, 1, 7 ... frames in a row; the same bytes come out."""
    whole, path = tmp_path / 'whole.frames', tmp_path / 'a.frames'
    settings = ProxySettings(short_side=64, fps=4)
    make_proxy(video, whole, settings)
    for stop in (1, 2, 9, 20, 21, 39, 40):

        def die(share, note, stop=stop):
            if share * 40 >= stop - 1e-6:
                os.kill(os.getpid(), signal.SIGKILL)

        code, _ = in_fork(
            lambda die=die: make_proxy(video, path, settings, num_threads, False, die)
        )
        assert code == -signal.SIGKILL
        assert not path.exists()
    made = []
    make_proxy(video, path, settings, num_threads, progress=lambda *told: made.append(told))
    assert [told for told in made if told[0] > 0] == []  # all frames were there
    assert path.read_bytes() == whole.read_bytes()
    assert verify_pack(path) == 40
    assert not (tmp_path / 'a.frames.part').exists()


def test_cut_in_the_middle_of_a_frame_and_gone_on_with(video, tmp_path):
    path, partial = tmp_path / 'a.frames', tmp_path / 'a.frames.part'
    make_proxy(video, path, EXACT)
    whole = path.read_bytes()
    path.unlink()
    for percent in (1, 30, 60, 99):
        partial.write_bytes(whole[: len(whole) * percent // 100])
        make_proxy(video, path, EXACT)
        assert path.read_bytes() == whole
        path.unlink()


def test_another_source_begins_anew(video, tmp_path):
    path, partial = tmp_path / 'a.frames', tmp_path / 'a.frames.part'
    make_proxy(write_video(tmp_path / 'b.mp4', num_frames=100), path, EXACT)
    partial.write_bytes(path.read_bytes()[:-500])
    path.unlink()
    make_proxy(video, path, EXACT)
    check_frames(path, video, 4)


def test_a_source_that_changes_meanwhile(video, tmp_path):
    source = tmp_path / 'v.mp4'
    shutil.copy(video, source)
    with pytest.raises(VideoError, match=r'v\.mp4 was changed'):
        make_proxy(source, tmp_path / 'a.frames', EXACT, progress=lambda *_: os.utime(source))
    assert not (tmp_path / 'a.frames').exists()


def test_a_source_that_grows_after_it_was_looked_at(video, tmp_path, monkeypatch):
    source, path = tmp_path / 'v.mp4', tmp_path / 'a.frames'
    shutil.copy(video, source)

    def look_and_grow(name):
        found = inspect_source(name)
        with source.open('ab') as file:
            file.write(b'more')
        return found

    monkeypatch.setattr(sys.modules['mmvidssl.apis.make_proxy'], 'inspect_source', look_and_grow)
    with pytest.raises(VideoError, match=r'v\.mp4 was changed'):
        make_proxy(source, path, EXACT)
    assert not path.exists()


def test_one_with_too_few_frames_is_made_again(video, tmp_path):
    path = tmp_path / 'a.frames'
    make_proxy(video, path, EXACT)
    pack = open_pack(path)
    with PackWriter(path, dict(pack.manifest, num_frames=1), pack.frames['time'][:1]) as writer:
        writer.append(read_image_bytes(pack, 0).tobytes())
        writer.finish()
    made = make_proxy(video, path, EXACT)
    assert (made.num_frames, made.is_new) == (40, True)


@pytest.mark.parametrize('kind, width', [('webp', 16400), ('jpeg', 65504)])
def test_frames_too_large_for_the_format(kind, width, tmp_path):
    video = write_video(tmp_path / 'v.mkv', 2, (32, width), codec='ffv1')
    with pytest.raises(VideoError, match=rf'v\.mkv, {width} x 32 pixels.* as {kind}: choose'):
        make_proxy(video, tmp_path / 'a.frames', ProxySettings(format=kind))
    assert not (tmp_path / 'a.frames').exists()
    assert make_proxy(video, tmp_path / 'a.frames', EXACT).num_frames == 1


def test_one_frame(tmp_path):
    video = write_video(tmp_path / 'v.mp4', num_frames=1)
    assert make_proxy(video, tmp_path / 'v.frames', EXACT).num_frames == 1
    reader = ProxyReader(str(tmp_path / 'v.frames'))
    assert reader.fps == 4
    assert read_frame_number(reader.get_frames([0])[0]) == 0


def test_a_broken_source_leaves_nothing_finished(video, tmp_path):
    source = tmp_path / 'v.mp4'
    data = bytearray(video.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20000] = bytes(20000)
    source.write_bytes(data)
    with pytest.raises(UndecodableVideoError, match=r'v\.mp4'):
        make_proxy(source, tmp_path / 'v.frames', EXACT)
    assert not (tmp_path / 'v.frames').exists()


@pytest.mark.parametrize(
    'settings, word',
    [
        (dict(short_side=0), 'short_side'),
        (dict(fps=0), 'fps'),
        (dict(fps=float('inf')), 'fps'),
        (dict(format='gif'), 'format'),
        (dict(quality=0), 'quality'),
        (dict(quality=101), 'quality'),
        (dict(format='png', quality=90), 'png takes none'),
    ],
)
def test_impossible_settings(video, tmp_path, settings, word):
    with pytest.raises(ValueError, match=word):
        make_proxy(video, tmp_path / 'a.frames', ProxySettings(**settings))
