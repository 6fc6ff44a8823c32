"""Our transforms in pipelines of other data sets, which hand over no generator."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import FUNCTIONS

from mmvidssl.datasets.transforms import VideoDecode, VideoInit, build_transforms
from tests.utils_video import write_video

ROOT = Path(__file__).parents[3]
CROP = dict(type='ClipRandomResizedCrop', size=16)
TRANSFORMS = [
    CROP,
    dict(type='ClipRandomFlip', prob=0.5, per_frame=True),
    dict(type='ClipColorJitter', prob=1.0),
    dict(type='ClipMultiCrop', global_transforms=[CROP], num_local_views=0),
    dict(type='RepeatAugment', transforms=[CROP]),
    *(dict(type=kind) for kind in ('CubeMask', 'TubeMask', 'FrameMask', 'RandomMask', 'BlockMask')),
]


@pytest.fixture
def clip():
    return np.random.default_rng(0).integers(0, 256, (24, 40, 40, 3), np.uint8)


@pytest.mark.parametrize('cfg', TRANSFORMS, ids=lambda cfg: cfg['type'])
def test_draws_follow_torch(cfg, clip):
    transform = Compose(build_transforms([cfg]))

    def draw():
        results = transform(dict(clip=clip.copy()))
        samples = results if isinstance(results, list) else [results]
        return str([{k: v for k, v in sample.items() if k != 'rng'} for sample in samples])

    with np.printoptions(threshold=10**6), torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = draw(), draw()
        assert first != second
        torch.manual_seed(0)
        assert draw() == first


def test_masks_in_mmaction2s_data_set(tmp_path):
    mmaction = pytest.importorskip('mmaction.datasets')
    (tmp_path / 'list.txt').write_text('a.mp4 0\n')
    pipeline = build_transforms([dict(type='CubeMask')])
    (sample,) = mmaction.VideoDataset(str(tmp_path / 'list.txt'), pipeline=pipeline)
    assert sample['mask'].shape == (8, 7, 7)


def test_folders_of_frames_are_collated_as_videos_are(tmp_path, monkeypatch):
    """Samples of RawframeDataset take the place of RepeatAugDataset's lists of them."""
    mmaction = pytest.importorskip('mmaction.datasets')
    (tmp_path / 'list.txt').write_text('a 5 0\nb 5 1\n')
    dataset = mmaction.RawframeDataset(str(tmp_path / 'list.txt'), pipeline=[])
    (tmp_path / 'data/my_videos').mkdir(parents=True)
    (tmp_path / 'data/my_videos/classes.txt').write_text('one\ntwo')
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(ROOT / 'projects/maskfeat_on_my_videos/configs/finetune.py')
    collate = FUNCTIONS.get(cfg.train_dataloader.collate_fn.type)
    assert collate(list(dataset))['label'] == [0, 1]
    assert collate([list(dataset)])['label'] == [0, 1]


def test_videos_are_opened_as_by_mmaction2(tmp_path):
    """The same frames and keys as its DecordInit and DecordDecode have."""
    theirs = pytest.importorskip('mmaction.datasets.transforms')
    path = write_video(tmp_path / 'a.mp4', num_frames=40, size=(96, 128))
    sample = theirs.SampleFrames(4, 2, num_clips=2, target_fps=30, test_mode=True)
    found = []
    for opening, decoding in (
        (theirs.DecordInit(), theirs.DecordDecode()),
        (VideoInit(), VideoDecode()),
    ):
        results = dict(filename=str(path), start_index=0, modality='RGB', label=1)
        found.append(decoding(sample(opening(results))))
    expected, results = found
    assert results.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(results[key], value, err_msg=key)
    unlabelled = VideoInit()(dict(video_path=str(path), reader=dict(type='PyAVReader')))
    assert (unlabelled['label'], unlabelled['filename']) == (-1, str(path))
