import shutil
from pathlib import Path

import pytest

from mmvidssl.apis import ProxySettings, make_proxies, verify_proxies
from mmvidssl.apis.proxies import many_videos
from mmvidssl.apis.proxies.many_videos import plan_proxies, run_jobs
from tests.utils_broken_video import public_folder, run_as_nobody
from tests.utils_video import write_video

SETTINGS = ProxySettings(short_side=32, fps=4)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'v.mp4')


@pytest.fixture
def folder(video, tmp_path):
    for name in ('a.mp4', 'deep/b.mkv.mp4', 'deep/c.MP4'):
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / 'in' / name)
    (tmp_path / 'in' / 'notes.txt').write_text('no video')
    return tmp_path / 'in'


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.mp4'))


def test_folders_and_files(folder, video, tmp_path, capsys):
    out = tmp_path / 'out'
    made = make_proxies([folder, video], out, SETTINGS, workers=1)
    assert not made.failed
    expected = ['a.proxy.mp4', 'deep/b.mkv.proxy.mp4', 'deep/c.proxy.mp4', 'v.proxy.mp4']
    assert names(out) == expected
    assert [proxy.num_frames for proxy in made.proxies] == [12] * 4
    assert 'proxies: 100%' in capsys.readouterr().err
    again = make_proxies([folder, video], out, SETTINGS, workers=1)
    assert [proxy.is_new for proxy in again.proxies] == [False] * 4
    assert verify_proxies([out]) == {}
    path = out / 'a.proxy.mp4'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    failed = verify_proxies([out, tmp_path / 'gone.proxy.mp4'])
    assert failed.keys() == {str(path), str(tmp_path / 'gone.proxy.mp4')}


def test_one_that_fails_does_not_stop_the_others(folder, tmp_path):
    """With two workers see tests/test_tools/test_make_proxy.py."""
    (folder / 'a.mp4').write_text('no video')
    made = make_proxies([folder], tmp_path / 'out', SETTINGS, workers=1)
    assert [Path(proxy.path).name for proxy in made.proxies] == ['b.mkv.proxy.mp4', 'c.proxy.mp4']
    assert made.failed.keys() == {str(folder / 'a.mp4')}
    assert 'not a video' in made.failed[str(folder / 'a.mp4')]
    assert len(names(tmp_path / 'out')) == 2


# A process that is short of memory, and one whose disk is away, told by the name of the video.
MAKE = """lambda video, path, progress: (
    __import__('os').kill(__import__('os').getpid(), 9) if 'a.mp4' in video else
    __import__('time').sleep(600) if 'b.mkv' in video else
    __import__('mmvidssl.apis').apis.make_proxy(video, path)
)"""


class Make:
    """Is sent to other processes, which cannot import this file, as text."""

    def __reduce__(self):
        return eval, (MAKE,)


@pytest.mark.slow
def test_a_process_that_dies_or_stalls_costs_one_video(folder, video, tmp_path):
    pairs = plan_proxies([folder, video], tmp_path)
    killed, stalled, *made = run_jobs(Make(), pairs, workers=2, timeout=5)
    assert 'exit code -9' in killed and '5 s' in stalled
    assert [proxy.num_frames for proxy in made] == [12, 12]


def test_what_cannot_be_read_is_verified_as_failed_and_not_made_again(folder):
    with public_folder() as public:
        make_proxies([folder / 'a.mp4'], public / 'out', SETTINGS, workers=1)
        make_proxies([folder / 'deep'], public / 'out', SETTINGS, workers=1)
        (public / 'out' / 'a.proxy.json').chmod(0)
        (public / 'out' / 'c.proxy.mp4').chmod(0)
        (public / 'locked').mkdir(mode=0)
        shutil.copy(folder / 'a.mp4', public / 'a.mp4')
        for path in (public, *public.rglob('.*.lock')):
            path.chmod(0o777)
        code = (
            'from mmvidssl.apis import ProxySettings, make_proxies, verify_proxies\n'
            'become_nobody()\n'
            f'failed = verify_proxies([{str(public / "locked/x")!r}, {str(public / "out")!r}])\n'
            f'made = make_proxies([{str(public / "a.mp4")!r}], {str(public / "out")!r}, '
            'ProxySettings(short_side=32, fps=4), workers=1)\n'
            'for path, reason in (failed | made.failed).items():\n'
            '    print(path, reason, sep=": ")\n'
        )
        lines = [line for line in run_as_nobody(code).splitlines() if 'Permission' in line]
        paths = [line.split(': ')[0] for line in lines]
        expected = ('locked/x', 'out/a.proxy.mp4', 'out/c.proxy.mp4', 'a.mp4')
        assert paths == [str(public / name) for name in expected]


def test_plan(folder):
    assert plan_proxies([folder / 'a.mp4'], 'out') == [(str(folder / 'a.mp4'), 'out/a.proxy.mp4')]
    assert len(plan_proxies([folder / 'a.mp4', folder / 'a.mp4'], 'out')) == 1
    with pytest.raises(FileNotFoundError, match='gone'):
        plan_proxies([folder / 'gone.mp4'], 'out')
    with pytest.raises(ValueError, match='no video'):
        plan_proxies([], 'out')
    (folder / 'a.mkv').touch()
    with pytest.raises(ValueError, match=r'a\.mkv and .*a\.mp4'):
        plan_proxies([folder], 'out')
    (folder / 'x.proxy.mp4').touch()
    with pytest.raises(ValueError, match=r'x\.proxy\.mp4.*--verify'):
        plan_proxies([folder / 'x.proxy.mp4'], 'out')


def test_proxies_are_not_made_where_videos_are_searched(folder):
    """Given again, the command would find them beside their videos."""
    with pytest.raises(ValueError, match='proxies lies in'):
        plan_proxies([folder], folder / 'proxies')


def test_a_link_to_nothing_fails_alone(video, tmp_path):
    (tmp_path / 'folder').mkdir()
    gone = tmp_path / 'folder/gone.mp4'
    gone.symlink_to(tmp_path / 'nowhere.mp4')
    made = make_proxies([video, gone.parent], tmp_path / 'out', SETTINGS, workers=1)
    assert len(made.proxies) == 1 and list(made.failed) == [str(gone)]


def test_impossible_number_of_workers(video, tmp_path):
    with pytest.raises(ValueError, match='workers .* got 0'):
        make_proxies([video], tmp_path, workers=0)


def test_an_error_nobody_foresaw_is_raised(video, tmp_path, monkeypatch):
    monkeypatch.setattr(many_videos, 'make_proxy', lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_proxies([video], tmp_path, workers=1)
