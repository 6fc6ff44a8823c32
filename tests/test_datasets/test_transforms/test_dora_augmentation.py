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
NUM_CLIPS = 150
LUMA = np.array([0.299, 0.587, 0.114])


def describe(frame):
    """What each transform changes of a frame, float ``(3, h, w)``: six numbers."""
    gray = np.einsum('chw,c->hw', frame, LUMA)
    horizontal, vertical = (
        np.abs(np.diff(gray, axis=1)).mean(),
        np.abs(np.diff(gray, axis=0)).mean(),
    )
    return [
        gray.mean(),  # brightness
        gray.std(),  # contrast
        np.ptp(frame, axis=0).mean(),  # saturation, grayscale
        (horizontal + vertical) / (gray.std() + 1),  # blur, size of the crop
        (frame[0] - frame[1]).mean(),  # hue
        # Where in the picture, and flipped or not: its brightness grows to the right and below.
        gray[:, gray.shape[1] // 2 :].mean() - gray[:, : gray.shape[1] // 2].mean(),
    ]


@pytest.fixture(scope='module')
def figures():
    """Per kind and view: (clips, 6) figures of one frame of each clip."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (180, 240, 3)).astype(float)
    y, x = np.mgrid[:180, :240][..., None]
    cells = 0.6 * cells * (0.4 + x / 400 + y / 600) * [1.0, 0.8, 0.5] + 20
    still = cells.clip(0, 255).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    clip = np.stack([still] * 2)
    pipeline = Config.fromfile(CONFIG).train_pipeline
    steps = [dict(step) for step in pipeline if step['type'] != 'DecodeClip']
    ours, theirs = Compose(build_transforms(steps)), PerFrame(normalize=False)
    found: dict = dict(ours=[], theirs=[])
    for seed in range(NUM_CLIPS):
        inputs = ours(dict(clip=clip, rng=np.random.default_rng(seed)))['inputs']
        found['ours'].append((inputs['global_clip'], inputs['local_clips'][3]))
        found['theirs'].append(theirs(clip, seed)[:5:4])
    return {
        kind: {
            name: np.array([describe(views[i][:, 1].numpy().astype(float)) for views in pairs])
            for i, name in enumerate(('global', 'local'))
        }
        for kind, pairs in found.items()
    }


@pytest.mark.parametrize('view', ['global', 'local'])
def test_views_are_distributed_as_the_official_ones(figures, view):
    ours, theirs = figures['ours'][view], figures['theirs'][view]
    for a, b in zip(ours.T, theirs.T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-3
        assert abs(a.mean() - b.mean()) < 4 * np.hypot(a.std(), b.std()) / NUM_CLIPS**0.5


def test_the_comparison_can_tell(figures):
    """Local views differ from global ones, by far."""
    views = (figures['theirs'][view].T for view in ('global', 'local'))
    assert min(stats.ks_2samp(a, b).pvalue for a, b in zip(*views, strict=True)) < 1e-6


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
