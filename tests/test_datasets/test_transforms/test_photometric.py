import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import functional as PF
from torchvision.transforms.v2 import functional as TF

from mmvidssl.datasets.transforms import (
    ClipColorJitter,
    ClipGaussianBlur,
    ClipRandomGrayscale,
    ClipSolarize,
)
from mmvidssl.datasets.transforms import functional as F


def run(transform, clip, seed=0):
    before = clip.copy()
    out = transform(dict(clip=clip, rng=np.random.default_rng(seed)))['clip']
    np.testing.assert_array_equal(clip, before)  # views share their source
    assert out.dtype == np.uint8
    assert out.shape == clip.shape
    assert out.flags.c_contiguous
    return out


def torchvision(op, clip, *args):
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2).contiguous()
    return op(frames, *args).permute(0, 2, 3, 1).numpy().astype(int)


def pil(op, clip):
    return np.stack([np.asarray(op(Image.fromarray(frame))) for frame in clip]).astype(int)


ALL = [
    ClipColorJitter(prob=1.0),
    ClipRandomGrayscale(1.0),
    ClipGaussianBlur((1.0, 2.0), 1.0),
    ClipGaussianBlur((1.0, 2.0), 1.0, kernel='pil'),
    ClipSolarize(128, 1.0),
]


@pytest.mark.parametrize(
    'ours, theirs, values',
    [
        (F.adjust_brightness, TF.adjust_brightness, [0.0, 0.6, 1.0, 1.4]),
        (F.adjust_contrast, TF.adjust_contrast, [0.0, 0.6, 1.0, 1.4]),
        (F.adjust_saturation, TF.adjust_saturation, [0.0, 0.8, 1.0, 1.2]),
        (F.adjust_hue, TF.adjust_hue, [-0.5, -0.1, 0.0, 0.07, 0.1, 0.5]),
    ],
)
def test_colours_are_torchvisions(clip, ours, theirs, values):
    for value in values:
        out = np.stack([ours(frame, value) for frame in clip])
        assert np.abs(out - torchvision(theirs, clip, value)).max() <= 2


def test_hue_of_every_width(clip):
    # OpenCV treats the last pixels of a row apart from the others
    for width in range(1, 20):
        part = np.ascontiguousarray(clip[:1, :, 30 : 30 + width])
        for shift in (-0.1, 0.5):
            out = F.adjust_hue(part[0], shift)
            assert np.abs(out - torchvision(TF.adjust_hue, part, shift)[0]).max() <= 1


def test_gray_is_torchvisions(clip):
    out = run(ClipRandomGrayscale(1.0), clip)
    assert np.abs(out - torchvision(TF.rgb_to_grayscale, clip, 3)).max() <= 1


@pytest.mark.parametrize('sigma, size', [(0.1, 3), (0.7, 7), (2.0, 13)])
def test_blur_is_torchvisions(clip, sigma, size):
    out = run(ClipGaussianBlur((sigma, sigma), 1.0), clip)
    assert np.abs(out - torchvision(TF.gaussian_blur, clip, [size] * 2, [sigma] * 2)).max() <= 1


@pytest.mark.parametrize('sigma', [0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.4, 1.5, 1.8, 2.0])
def test_blur_is_pils(clip, sigma):
    """PIL rounds to whole levels six times on the way, and repeats its borders each time."""
    out = run(ClipGaussianBlur((sigma, sigma), 1.0, kernel='pil'), clip)
    error = np.abs(out - pil(lambda image: image.filter(ImageFilter.GaussianBlur(sigma)), clip))
    assert error[:, 7:-7, 7:-7].max() <= 3
    assert error.mean() < 1


@pytest.mark.parametrize('sigma', [0.05, 0.3, 0.7, 1.3, 1.5, 2.0, 6.0])
def test_pils_kernel_has_the_standard_deviation_that_was_asked_for(sigma):
    point = np.zeros((65, 65, 3), np.float32)
    point[32, 32] = 1
    weights = F.pil_gaussian_blur(point, sigma)[..., 0].sum(axis=0)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    variance = (weights * (np.arange(65) - 32.0) ** 2).sum()
    assert variance == pytest.approx(sigma**2, rel=1e-3)


@pytest.mark.parametrize(
    'ours, theirs, values, largest, mean',
    [
        (F.adjust_brightness, PF.adjust_brightness, [0.6, 0.9, 1.1, 1.4], 2, 1),
        (F.adjust_contrast, PF.adjust_contrast, [0.6, 0.9, 1.1, 1.4], 2, 1),
        (F.adjust_saturation, PF.adjust_saturation, [0.8, 0.9, 1.1, 1.2], 2, 1),
        # PIL's hue and shift have 255 steps, of up to 6 levels each, and both are rounded.
        (F.adjust_hue, PF.adjust_hue, [-0.1, -0.03, 0.0, 0.07, 0.1], 16, 3),
    ],
)
def test_colours_are_pils(clip, ours, theirs, values, largest, mean):
    for value in values:
        out = np.stack([ours(frame, value) for frame in clip])
        error = np.abs(out - pil(lambda image, v=value: theirs(image, v), clip))
        assert error.max() <= largest
        assert error.mean() < mean


@pytest.mark.parametrize('threshold', [0, 128, 255])
def test_solarize_is_torchvisions(clip, threshold):
    out = run(ClipSolarize(threshold, 1.0), clip)
    np.testing.assert_array_equal(out, torchvision(TF.solarize, clip, threshold))


def test_jitter_applies_its_operations_in_the_drawn_order(clip):
    transform = ClipColorJitter(0.4, 0.4, 0.2, 0.1, prob=1.0)
    reference = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue]
    orders = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rng.random(1)  # whether to change the clip
        params = transform.draw_params(rng)
        orders.add(tuple(op for op, _ in params))
        expected = clip
        for op, strength in params:
            expected = torchvision(reference[op], expected, strength).astype(np.uint8)
        # each step's rounding is amplified by the next ones
        assert np.abs(run(transform, clip, seed) - expected.astype(int)).max() <= 6
    assert len(orders) > 4


def test_jitter_strengths_fill_their_ranges():
    transform = ClipColorJitter(0.4, 1.5, 0.2, 0.1)
    rng = np.random.default_rng(0)
    drawn = np.array([[v for _, v in sorted(transform.draw_params(rng))] for _ in range(2000)])
    np.testing.assert_allclose(drawn.min(axis=0), [0.6, 0.0, 0.8, -0.1], atol=0.01)
    np.testing.assert_allclose(drawn.max(axis=0), [1.4, 2.5, 1.2, 0.1], atol=0.01)


def test_jitter_of_strength_zero_changes_nothing(clip):
    np.testing.assert_array_equal(run(ClipColorJitter(0, 0, 0, 0, prob=1.0), clip), clip)


@pytest.mark.parametrize('transform', ALL, ids=lambda t: type(t).__name__)
class TestEvery:
    def test_one_draw_for_the_clip(self, clip, transform):
        out = run(transform, np.repeat(clip[:1], 4, axis=0))
        assert (out == out[:1]).all()
        assert (out != clip[:1]).any()

    def test_a_draw_per_frame(self, clip, transform, monkeypatch):
        monkeypatch.setattr(transform, 'per_frame', True)
        monkeypatch.setattr(transform, 'prob', 0.5)
        still = np.repeat(clip[:1], 4, axis=0)
        changed = {
            int((run(transform, still, s) != still).any(axis=(1, 2, 3)).sum()) for s in range(60)
        }
        assert changed == {0, 1, 2, 3, 4}

    def test_never_with_probability_zero(self, clip, transform, monkeypatch):
        monkeypatch.setattr(transform, 'prob', 0.0)
        np.testing.assert_array_equal(run(transform, clip), clip)

    def test_same_generator_same_result(self, clip, transform):
        np.testing.assert_array_equal(run(transform, clip, 3), run(transform, clip, 3))


@pytest.mark.parametrize('make', [ClipColorJitter, ClipGaussianBlur])
def test_parameters_differ_between_frames(clip, make):
    out = run(make(prob=1.0, per_frame=True), np.repeat(clip[:1], 4, axis=0))
    assert len({frame.tobytes() for frame in out}) == 4


@pytest.mark.parametrize(
    'make, word',
    [
        (lambda: ClipColorJitter(brightness=-1), 'brightness'),
        (lambda: ClipColorJitter(hue=0.6), 'hue'),
        (lambda: ClipColorJitter(prob=2), 'prob'),
        (lambda: ClipRandomGrayscale(-0.1), 'prob'),
        (lambda: ClipGaussianBlur((2.0, 1.0)), 'sigma'),
        (lambda: ClipGaussianBlur((0.0, 1.0)), 'sigma'),
        (lambda: ClipGaussianBlur(kernel='box'), 'kernel'),
        (lambda: ClipSolarize(256), 'threshold'),
    ],
)
def test_impossible_settings(make, word):
    with pytest.raises(ValueError, match=word):
        make()
