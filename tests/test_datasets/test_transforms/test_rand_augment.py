import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from mmvidssl.datasets.transforms import rand_augment as R
from mmvidssl.datasets.transforms.rand_augment import ClipRandAugment

NAMES = [
    *('AutoContrast', 'Equalize', 'Invert', 'Rotate', 'Posterize', 'Solarize', 'SolarizeAdd'),
    *('Color', 'Contrast', 'Brightness', 'Sharpness'),
    *('ShearX', 'ShearY', 'TranslateX', 'TranslateY'),
]


@pytest.fixture
def frames():
    """Smooth frames of 48 x 64, all different, whose values do not fill 0..255."""
    noise = np.random.default_rng(0).integers(30, 220, (3, 6, 8, 3), dtype=np.uint8)
    return [cv2.resize(frame, (64, 48), interpolation=cv2.INTER_CUBIC) for frame in noise]


def run(transform, frames, seed=0):
    before = [frame.copy() for frame in frames]
    out = transform(dict(imgs=frames, rng=np.random.default_rng(seed)))['imgs']
    np.testing.assert_array_equal(frames, before)  # repeats of a video share their frames
    assert isinstance(out, list)
    assert all(frame.dtype == np.uint8 and frame.shape == (48, 64, 3) for frame in out)
    return out


def torchvision(op, frame, *args, **kwargs):
    image = torch.from_numpy(frame).permute(2, 0, 1)
    return op(image, *args, **kwargs).permute(1, 2, 0).numpy().astype(int)


def affine(frame, **changes):
    arguments = dict(angle=0.0, translate=[0, 0], scale=1.0, shear=[0.0, 0.0]) | changes
    bilinear = InterpolationMode.BILINEAR
    return torchvision(TF.affine, frame, interpolation=bilinear, fill=[128.0] * 3, **arguments)


# Level 7 of 10, forwards and backwards, in the units of torchvision.
ORACLES = {
    'AutoContrast': lambda frame, sign: torchvision(TF.autocontrast, frame),
    'Equalize': lambda frame, sign: torchvision(TF.equalize, frame),
    'Invert': lambda frame, sign: torchvision(TF.invert, frame),
    'Posterize': lambda frame, sign: torchvision(TF.posterize, frame, 2),
    'Solarize': lambda frame, sign: torchvision(TF.solarize, frame, 256 - 179),
    'SolarizeAdd': lambda frame, sign: np.where(frame < 128, frame.astype(int) + 77, frame),
    'Color': lambda frame, sign: torchvision(TF.adjust_saturation, frame, 1 + sign * 0.63),
    'Contrast': lambda frame, sign: torchvision(TF.adjust_contrast, frame, 1 + sign * 0.63),
    'Brightness': lambda frame, sign: torchvision(TF.adjust_brightness, frame, 1 + sign * 0.63),
    'Sharpness': lambda frame, sign: torchvision(TF.adjust_sharpness, frame, 1 + sign * 0.63),
    'Rotate': lambda frame, sign: affine(frame, angle=sign * 21.0),
    'TranslateX': lambda frame, sign: affine(frame, translate=[-sign * 0.315 * 64, 0]),
    'TranslateY': lambda frame, sign: affine(frame, translate=[0, -sign * 0.315 * 48]),
}


@pytest.mark.parametrize('sign', [-1, 1])
@pytest.mark.parametrize('name', ORACLES)
def test_operations_are_torchvisions(frames, name, sign):
    op = R.make_ops(cv2.INTER_LINEAR)[name]
    for frame in frames:
        difference = np.abs(op(frame, 0.7, sign) - ORACLES[name](frame, sign))
        # along the border of what is moved in, the two round differently
        is_moved = name in ('Rotate', 'TranslateX', 'TranslateY')
        assert (np.quantile(difference, 0.95) if is_moved else difference.max()) <= 2


@pytest.mark.parametrize('name', ['ShearX', 'ShearY'])
def test_shear_moves_each_row_by_its_place(name):
    frame = np.full((40, 40, 3), 128, np.uint8)  # what is moved in is gray
    frame[:, 20] = 255
    frame = frame if name == 'ShearX' else frame.transpose(1, 0, 2).copy()
    sheared = R.make_ops(cv2.INTER_LINEAR)[name](frame, 1.0, 1) - 128.0
    rows = sheared[..., 0] if name == 'ShearX' else sheared[..., 0].T
    places = (rows * np.arange(40)).sum(1) / rows.sum(1)
    np.testing.assert_allclose(places, 20 - 0.3 * (np.arange(40) + 0.5), atol=0.05)


def test_there_are_the_operations_of_timm():
    assert list(ClipRandAugment().ops) == NAMES


def test_all_frames_are_changed_alike(frames):
    same = [frames[0]] * 3
    for seed in range(30):
        out = run(ClipRandAugment(prob=1.0), same, seed)
        np.testing.assert_array_equal(out[0], out[1])
        np.testing.assert_array_equal(out[0], out[2])


def test_draws_what_rand_m7_mstd05_draws():
    transform, rng = ClipRandAugment(), np.random.default_rng(0)
    draws = [transform.draw(rng) for _ in range(4000)]
    drawn = [op for ops in draws for op in ops]
    # 2 operations with probability 0.5
    assert np.mean([len(ops) for ops in draws]) == pytest.approx(1.0, abs=0.05)
    assert max(map(len, draws)) == 2
    counts = np.array([sum(op[0] == name for op in drawn) for name in NAMES])
    np.testing.assert_allclose(counts / len(drawn), 1 / 15, atol=0.02)
    strengths = np.array([op[1] for op in drawn])
    assert strengths.mean() == pytest.approx(0.7, abs=0.005)
    assert strengths.std() == pytest.approx(0.05, abs=0.005)
    assert np.mean([op[2] for op in drawn]) == pytest.approx(0, abs=0.05)


def test_levels_stay_within_ten():
    transform, rng = ClipRandAugment(magnitude=10, magnitude_std=3), np.random.default_rng(0)
    strengths = [op[1] for _ in range(200) for op in transform.draw(rng)]
    assert max(strengths) == 1.0
    assert min(strengths) > 0


@pytest.mark.parametrize('name', NAMES)
def test_level_zero_and_ten_work(frames, name):
    op = ClipRandAugment().ops[name]
    for strength in (0.0, 1.0):
        assert op(frames[0], strength, 1).shape == frames[0].shape
    if name not in ('AutoContrast', 'Equalize', 'Invert', 'Posterize'):
        np.testing.assert_allclose(op(frames[0], 0.0, 1).astype(int), frames[0], atol=1)


def test_flat_frames_are_no_division_by_zero():
    flat = np.full((8, 8, 3), 77, np.uint8)
    for name in ('AutoContrast', 'Equalize'):
        np.testing.assert_array_equal(R.make_ops()[name](flat, 0.7, 1), flat)


def test_nothing_happens_with_probability_zero(frames):
    np.testing.assert_array_equal(run(ClipRandAugment(prob=0.0), frames), frames)


def test_without_a_generator_torchs_seed_decides(frames):
    outs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        ops = [ClipRandAugment(prob=1.0)(dict(imgs=frames))['imgs'] for _ in range(5)]
        outs.append(np.array(ops))
    np.testing.assert_array_equal(outs[0], outs[1])
    assert (outs[0] != outs[2]).any()


def test_refuses_boxes(frames):
    with pytest.raises(ValueError, match='gt_bboxes'):
        ClipRandAugment()(dict(imgs=frames, gt_bboxes=np.zeros((1, 4))))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(magnitude=11), 'magnitude .* 11'),
        (dict(magnitude_std=-1), 'at least 0, got -1 and 2'),
        (dict(num_ops=-1), 'at least 0, got 0.5 and -1'),
        (dict(prob=2), 'prob must be a probability'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ClipRandAugment(**options)
