import math

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as TF

from mmvidssl.datasets.transforms import (
    ClipCenterCrop,
    ClipRandomFlip,
    ClipRandomResizedCrop,
    ClipResize,
)
from mmvidssl.datasets.transforms.functional import draw_crop

RATIO = (3 / 4, 4 / 3)


def run(transform, clip, seed=0):
    before = clip.copy()
    out = transform(dict(clip=clip, rng=np.random.default_rng(seed)))['clip']
    np.testing.assert_array_equal(clip, before)  # views share their source
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous
    return out


def to_tv(clip):
    return torch.from_numpy(clip).permute(0, 3, 1, 2).contiguous()


def from_tv(frames):
    return frames.permute(0, 2, 3, 1).numpy().astype(int)


class TestRandomResizedCrop:
    @pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
    def test_is_torchvisions_antialiased_crop_and_resize(self, clip, interpolation):
        out = run(ClipRandomResizedCrop(16, (0.3, 0.8), interpolation=interpolation), clip, seed=5)
        box = draw_crop(48, 64, (0.3, 0.8), RATIO, np.random.default_rng(5))
        mode = InterpolationMode(interpolation)
        floats = TF.resized_crop(to_tv(clip).float(), *box, [16, 16], mode, antialias=True)
        assert np.abs(out - from_tv(floats.clamp(0, 255).round())).max() <= 1

    @pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
    def test_without_antialias_it_samples_as_torch_does(self, clip, interpolation):
        crop = ClipRandomResizedCrop(8, (0.8, 1.0), interpolation=interpolation, antialias=False)
        top, left, height, width = draw_crop(48, 64, (0.8, 1.0), RATIO, np.random.default_rng(5))
        part = to_tv(clip)[..., top : top + height, left : left + width].float()
        floats = torch.nn.functional.interpolate(part, (8, 8), mode=interpolation)
        assert np.abs(run(crop, clip, seed=5) - from_tv(floats.clamp(0, 255).round())).max() <= 1

    def test_same_part_in_all_frames(self, clip):
        still = np.repeat(clip[:1], 4, axis=0)
        out = run(ClipRandomResizedCrop(16), still)
        assert out.shape == (4, 16, 16, 3)
        assert (out == out[:1]).all()

    def test_own_part_in_each_frame(self, clip):
        still = np.repeat(clip[:1], 4, axis=0)
        out = run(ClipRandomResizedCrop((16, 24), per_frame=True), still)
        assert out.shape == (4, 16, 24, 3)
        assert len({frame.tobytes() for frame in out}) == 4

    def test_crops_are_distributed_as_torchvisions(self):
        rng, scale, count = np.random.default_rng(0), (0.2, 0.6), 3000
        ours = np.array([draw_crop(90, 160, scale, RATIO, rng) for _ in range(count)])
        torch.manual_seed(0)
        image = torch.empty(3, 90, 160)
        theirs = np.array([RandomResizedCrop.get_params(image, scale, RATIO) for _ in range(count)])
        for statistic in (np.mean, np.std):
            for column in range(4):
                a, b = statistic(ours[:, column]), statistic(theirs[:, column])
                assert abs(a - b) < 4 * theirs[:, column].std() / math.sqrt(count)

    def test_crops_stay_inside_and_within_scale_and_ratio(self):
        rng = np.random.default_rng(0)
        for _ in range(500):
            top, left, height, width = draw_crop(300, 400, (0.05, 0.4), RATIO, rng)
            assert 0 <= top <= 300 - height
            assert 0 <= left <= 400 - width
            assert 0.045 < height * width / 120_000 < 0.42
            assert 0.73 < width / height < 1.37

    def test_falls_back_to_the_centre(self):
        box = draw_crop(10, 100, (1.0, 1.0), RATIO, np.random.default_rng(0))
        assert box == (0, 43, 10, 13)

    @pytest.mark.parametrize(
        'kwargs, word',
        [
            (dict(size=0), 'size'),
            (dict(size=(8, -1)), 'size'),
            (dict(size=8.5), 'size'),
            (dict(size=8, scale=(0.5, 0.2)), 'scale'),
            (dict(size=8, scale=(0.0, 0.2)), 'scale'),
            (dict(size=8, scale=(0.5, 1.2)), 'scale'),
            (dict(size=8, ratio=(2, 1)), 'ratio'),
            (dict(size=8, interpolation='nearest'), 'interpolation'),
        ],
    )
    def test_impossible_settings(self, kwargs, word):
        with pytest.raises(ValueError, match=word):
            ClipRandomResizedCrop(**kwargs)


class TestRandomFlip:
    def test_mirrors_left_and_right(self, clip):
        np.testing.assert_array_equal(run(ClipRandomFlip(1.0), clip), clip[:, :, ::-1])

    def test_never_with_probability_zero(self, clip):
        np.testing.assert_array_equal(run(ClipRandomFlip(0.0), clip), clip)

    @pytest.mark.parametrize('per_frame, expected', [(False, {0, 4}), (True, {0, 1, 2, 3, 4})])
    def test_whole_clips_or_single_frames(self, clip, per_frame, expected):
        transform = ClipRandomFlip(0.5, per_frame=per_frame)
        counts = set()
        for seed in range(60):
            out = run(transform, clip, seed)
            counts.add(sum((a == b[:, ::-1]).all() for a, b in zip(out, clip, strict=True)))
        assert counts == expected

    def test_impossible_probability(self):
        with pytest.raises(ValueError, match='prob'):
            ClipRandomFlip(1.5)


class TestEvaluation:
    def test_resize_as_torchvision(self, clip):
        out = run(ClipResize(short_side=20), clip)
        reference = TF.resize(to_tv(clip).float(), 20, InterpolationMode.BICUBIC)
        assert out.shape == (4, 20, 26, 3)
        assert np.abs(out - from_tv(reference.clamp(0, 255).round())).max() <= 1
        assert run(ClipResize(short_side=20), clip.transpose(0, 2, 1, 3)).shape == (4, 26, 20, 3)

    def test_resize_to_a_size(self, clip):
        assert run(ClipResize(size=(10, 12)), clip).shape == (4, 10, 12, 3)

    def test_center_crop_as_torchvision(self, clip):
        out = run(ClipCenterCrop((31, 40)), clip)
        np.testing.assert_array_equal(out, from_tv(TF.center_crop(to_tv(clip), [31, 40])))

    def test_crop_larger_than_the_frame(self, clip):
        with pytest.raises(ValueError, match=r'\(49, 49\).*\(48, 64\)'):
            run(ClipCenterCrop(49), clip)

    @pytest.mark.parametrize(
        'kwargs', [dict(), dict(short_side=3, size=4), dict(short_side=0), dict(size=(1, 2, 3))]
    )
    def test_impossible_resize(self, kwargs):
        with pytest.raises(ValueError, match='short_side|size'):
            ClipResize(**kwargs)
