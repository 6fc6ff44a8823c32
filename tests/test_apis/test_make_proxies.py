import shutil
import time
from pathlib import Path

import pytest

from mmvidssl.apis import ProxySettings, make_proxies, proxy_workers, verify_proxies
from mmvidssl.apis.make_proxies import plan_proxies
from mmvidssl.apis.proxy_workers import Job, run_jobs
from mmvidssl.datasets.readers import proxy_pack
from tests.utils_broken_video import public_folder, run_as_nobody
from tests.utils_video import write_video

SETTINGS = ProxySettings(short_side=32, fps=4)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'v.mp4')


@pytest.fixture
def public_path():
    with public_folder() as path:
        yield path


@pytest.fixture
def folder(video, tmp_path):
    for name in ('a.mp4', 'deep/b.mkv.mp4', 'deep/c.MP4'):
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / 'in' / name)
    (tmp_path / 'in' / 'notes.txt').write_text('no video')
    return tmp_path / 'in'


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.*'))


def test_folders_and_files(folder, video, tmp_path, capsys):
    made = make_proxies([folder, video], tmp_path / 'out', SETTINGS, workers=1)
    assert not made.failed
    assert names(tmp_path / 'out') == ['a.frames', 'deep/b.mkv.frames', 'deep/c.frames', 'v.frames']
    assert [proxy.num_frames for proxy in made.proxies] == [12] * 4
    assert 'proxies 100%' in capsys.readouterr().out
    assert verify_proxies([tmp_path / 'out']) == {}
    again = make_proxies([folder, video], tmp_path / 'out', SETTINGS, workers=1)
    assert [proxy.is_new for proxy in again.proxies] == [False] * 4


@pytest.mark.slow
@pytest.mark.parametrize('workers', [1, 2])
def test_one_that_fails_does_not_stop_the_others(folder, tmp_path, workers):
    (folder / 'a.mp4').write_text('no video')
    made = make_proxies([folder], tmp_path / 'out', SETTINGS, workers=workers)
    assert [Path(proxy.path).name for proxy in made.proxies] == ['b.mkv.frames', 'c.frames']
    assert made.failed.keys() == {str(folder / 'a.mp4')}
    assert 'not a video' in made.failed[str(folder / 'a.mp4')]
    assert names(tmp_path / 'out') == ['deep/b.mkv.frames', 'deep/c.frames']


class KillsReceiver:
    """Settings that end the process which is sent them, as the system does when memory is short."""

    def __reduce__(self):
        return eval, ("__import__('os').kill(__import__('os').getpid(), 9)",)


@pytest.mark.slow
def test_a_process_that_dies_costs_one_video(folder, video, tmp_path):
    jobs = [
        Job(str(path), str(tmp_path / f'{path.stem}.frames'), SETTINGS, 1, False)
        for path in (folder / 'a.mp4', folder / 'deep' / 'c.MP4', video)
    ]
    jobs[1] = jobs[1]._replace(settings=KillsReceiver())
    first, dead, last = run_jobs(jobs, workers=2)
    assert first.num_frames == last.num_frames == 12
    assert 'the process died (signal SIGKILL' in dead


class StallsReceiver:
    """Settings that hold up the process which is sent them, as a disk does that is away."""

    def __reduce__(self):
        return time.sleep, (600,)


@pytest.mark.slow
def test_a_process_that_stalls_costs_one_video(video, tmp_path, monkeypatch):
    monkeypatch.setattr(proxy_workers, 'STALL_SECONDS', 15.0)
    jobs = [
        Job(str(video), str(tmp_path / f'{number}.frames'), SETTINGS, 1, False)
        for number in range(3)
    ]
    jobs[0] = jobs[0]._replace(settings=StallsReceiver())
    stalled, *made = run_jobs(jobs, workers=2)
    assert 'nothing came of it for 15 s' in stalled
    assert [proxy.num_frames for proxy in made] == [12, 12]


def test_what_verification_finds(folder, video, tmp_path):
    make_proxies([folder], tmp_path / 'out', SETTINGS, workers=1)
    path = tmp_path / 'out' / 'a.frames'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    failed = verify_proxies([tmp_path / 'out', tmp_path / 'gone.frames'])
    assert failed.keys() == {str(path), str(tmp_path / 'gone.frames')}
    assert 'altered' in failed[str(path)]


def test_verification_goes_on_behind_what_cannot_be_read(folder, public_path):
    out, locked = public_path / 'out', public_path / 'locked'
    make_proxies([folder], out, SETTINGS, workers=1)
    (out / 'a.frames').chmod(0)
    (out / 'deep' / 'c.frames').write_bytes(b'no proxy')
    locked.mkdir(mode=0)
    code = (
        'from mmvidssl.apis import verify_proxies\n'
        'become_nobody()\n'
        f'found = verify_proxies([{str(locked / "x.frames")!r}, {str(out)!r}])\n'
        'for path, reason in found.items():\n'
        '    print(path, reason, sep=": ")\n'
    )
    first, second, third = run_as_nobody(code).splitlines()
    assert first.startswith(f'{locked}/x.frames: cannot look at {locked}/x.frames: Permission')
    assert second.startswith(f'{out}/a.frames: cannot read the proxy {out}/a.frames: Permission')
    assert third.startswith(f'{out}/deep/c.frames: ') and 'not begin like a proxy' in third


def test_a_proxy_that_cannot_be_read_is_not_made_again(video, tmp_path, monkeypatch):
    make_proxies([video], tmp_path, SETTINGS, workers=1)
    before = (tmp_path / 'v.frames').stat()

    def refuse(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(proxy_pack, 'open', refuse, raising=False)
    made = make_proxies([video], tmp_path, SETTINGS, workers=1)
    assert 'v.frames: Permission denied' in made.failed[str(video)]
    assert (tmp_path / 'v.frames').stat() == before


def test_plan(folder, tmp_path):
    assert plan_proxies([folder / 'a.mp4'], 'out') == [(str(folder / 'a.mp4'), 'out/a.frames')]
    assert len(plan_proxies([folder / 'a.mp4', folder / 'a.mp4'], 'out')) == 1
    with pytest.raises(FileNotFoundError, match='gone'):
        plan_proxies([folder / 'gone.mp4'], 'out')
    with pytest.raises(ValueError, match='no video is given'):
        plan_proxies([], 'out')
    (folder / 'a.mkv').touch()
    with pytest.raises(ValueError, match=r'a\.mkv and .*a\.mp4 would have the same proxy'):
        plan_proxies([folder], 'out')
    (folder / 'a.frames').touch()
    with pytest.raises(ValueError, match=r'a\.frames is a proxy itself; .*--verify'):
        plan_proxies([folder / 'a.frames'], 'out')


def test_impossible_number_of_workers(video, tmp_path):
    with pytest.raises(ValueError, match='workers must be at least 1, got 0'):
        make_proxies([video], tmp_path, workers=0)


def test_an_error_nobody_foresaw_is_raised(video, tmp_path, monkeypatch):
    monkeypatch.setattr(proxy_workers, 'make_proxy', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_proxies([video], tmp_path, workers=1)
