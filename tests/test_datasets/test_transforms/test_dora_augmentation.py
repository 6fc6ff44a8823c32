"""The config's pipeline makes what the released code makes of a clip, in distribution."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from scipy import stats

from mmvidssl.datasets.transforms import build_transforms
from tests.references.pil_augmentation import PerFrame

DATASETS = Path(__file__).parents[3] / 'configs/_base_/datasets'
CONFIG = DATASETS / 'walking_tours_dora.py'
NUM_CLIPS = 80
LUMA = np.array([0.299, 0.587, 0.114])
FIGURES = ('brightness', 'contrast', 'saturation', 'sharpness', 'hue', 'asymmetry')


def describe(frame):
    """What each transform changes of a frame, float ``(3, h, w)``: as many numbers as FIGURES."""
    gray = np.einsum('chw,c->hw', frame, LUMA)
    horizontal, vertical = (
        np.abs(np.diff(gray, axis=1)).mean(),
        np.abs(np.diff(gray, axis=0)).mean(),
    )
    return [
        gray.mean(),
        gray.std(),
        np.ptp(frame, axis=0).mean(),  # grayscale, too
        (horizontal + vertical) / (gray.std() + 1),  # blur, antialiasing, size of the crop
        (frame[0] - frame[1]).mean(),
        # Where in the picture, and flipped or not: its brightness grows to the right and below.
        gray[:, gray.shape[1] // 2 :].mean() - gray[:, : gray.shape[1] // 2].mean(),
    ]


def make_clip():
    """Noise of single pixels, brighter to the right and below, so large that crops shrink it."""
    noise = np.random.default_rng(0).integers(0, 256, (720, 960, 3))
    y, x = np.mgrid[:720, :960][..., None]
    still = 0.6 * noise * (0.4 + x / 1600 + y / 2400) * [1.0, 0.8, 0.5] + 20
    return np.stack([still.clip(0, 255).astype(np.uint8)] * 2)


def make_ours(change=lambda shared_crop, views: None):
    """The config's pipeline after decoding, or with something changed in it."""
    _, shared_crop, views, packing = Config.fromfile(CONFIG).train_pipeline
    change(shared_crop, views)
    augment = Compose(build_transforms([shared_crop, views, packing]))
    return lambda clip, seed: augment(dict(clip=clip, rng=np.random.default_rng(seed)))['inputs']


def blur_always(shared_crop, views):
    views['global_transforms'][-1]['prob'] = 1.0


def flip_local_crops(shared_crop, views):
    views['local_transforms'].insert(1, dict(type='ClipRandomFlip', prob=0.5, per_frame=True))


def antialias(shared_crop, views):
    for crop in (shared_crop, views['global_transforms'][0]):
        crop.update(interpolation='bicubic', antialias=True)


def measure(make_views):
    """Of the global and of a local view: ``(clips, figures)`` of one frame of each clip."""
    clip = make_clip()
    found = dict(zip(('global', 'local'), ([], []), strict=True))
    for seed in range(NUM_CLIPS):
        for numbers, view in zip(found.values(), make_views(clip, seed), strict=True):
            numbers.append(describe(view[:, 1].numpy().astype(float)))
    return {view: dict(zip(FIGURES, np.transpose(found[view]), strict=True)) for view in found}


def measure_ours(*change):
    ours = make_ours(*change)

    def make_views(clip, seed):
        inputs = ours(clip, seed)
        return inputs['global_clip'], inputs['local_clips'][3]

    return measure(make_views)


@pytest.fixture(scope='module')
def released():
    per_frame = PerFrame(normalize=False)
    return measure(lambda clip, seed: per_frame(clip, seed)[:5:4])


def differ(a, b):
    """How far two samples are apart: of their means in standard errors, and the p-value."""
    distance = abs(a.mean() - b.mean()) / (np.hypot(a.std(), b.std()) / NUM_CLIPS**0.5)
    return distance, stats.ks_2samp(a, b).pvalue


def test_views_are_distributed_as_the_released_ones(released):
    ours = measure_ours()
    for view in ours:
        for figure in FIGURES:
            distance, p = differ(ours[view][figure], released[view][figure])
            assert distance < 4 and p > 1e-3, (view, figure)


@pytest.mark.parametrize(
    'change, view, figure',
    [
        (blur_always, 'global', 'contrast'),
        (blur_always, 'global', 'sharpness'),
        (antialias, 'global', 'sharpness'),
        (flip_local_crops, 'local', 'asymmetry'),
    ],
)
def test_other_settings_are_told_apart(released, change, view, figure):
    """What DINO and this config once had: less contrast, less sharp, both sides alike."""
    other, right = measure_ours(change)[view][figure], released[view][figure]
    assert other.mean() < right.mean()
    assert differ(other, right)[1] < 1e-6


def find(transforms, kind):
    return [step for step in transforms if step['type'] == kind]


def test_values_of_the_released_code():
    """What its main.py says, by which kinds of view."""
    config = Config.fromfile(CONFIG)
    for transforms, blur, flips in (
        (config.global_transforms, 0.1, 1),
        (config.local_transforms, 0.5, 0),
    ):
        assert [step['prob'] for step in find(transforms, 'ClipGaussianBlur')] == [blur]
        assert len(find(transforms, 'ClipRandomFlip')) == flips
    shared = find(config.train_pipeline, 'ClipRandomResizedCrop')
    for crop in shared + find(config.global_transforms, 'ClipRandomResizedCrop'):
        assert (crop['interpolation'], crop['antialias']) == ('bilinear', False)


def test_values_of_dinos_released_code():
    """What its main_dino.py says of two global views and eight local ones, of a frame each."""
    config = Config.fromfile(DATASETS / 'walking_tours_dino.py')
    dataset = config.train_dataloader.dataset
    (views,) = find(dataset.pipeline, 'ClipMultiCrop')
    assert dataset.clip_len == 1
    assert (views.num_global_views, views.num_local_views) == (2, 8)
    for name, size, scale, blur, solarize in (
        ('global', 224, (0.4, 1.0), 1.0, []),
        ('extra_global', 224, (0.4, 1.0), 0.1, [0.2]),
        ('local', 96, (0.05, 0.4), 0.5, []),
    ):
        transforms = views[f'{name}_transforms']
        crop, flip, jitter, gray, blurring, *_ = transforms
        assert (crop.size, tuple(crop.scale), crop.interpolation) == (size, scale, 'bicubic')
        assert [step.prob for step in (flip, jitter, gray, blurring)] == [0.5, 0.8, 0.2, blur]
        strengths = [jitter[key] for key in ('brightness', 'contrast', 'saturation', 'hue')]
        assert strengths == [0.4, 0.4, 0.2, 0.1]
        assert tuple(blurring.sigma) == (0.1, 2.0)
        assert [step.prob for step in find(transforms, 'ClipSolarize')] == solarize
