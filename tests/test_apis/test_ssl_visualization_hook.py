"""Pictures in training: they are written, and the run is as without them."""

import cv2
import pytest
import torch
from mmengine.hooks import Hook
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmvidssl.apis import SSLVisualizationHook
from mmvidssl.datasets.readers import ShortVideoError
from tests.utils_model import dino_cfg
from tests.utils_run import tiny_cfg, train
from tests.utils_tool import without_visualizers
from tests.utils_video import write_video

BACKENDS = ('LocalVisBackend', 'TensorboardVisBackend')


class Last(Hook):
    """Weights, generator and modes at the end."""

    def after_train(self, runner):
        self.weights = {k: v.clone() for k, v in runner.model.state_dict().items()}
        self.state = torch.get_rng_state()
        self.modes = [part.training for part in runner.model.modules()]


def test_a_run_is_the_same_to_the_bit_and_leaves_pictures(tmp_path):
    """Of a student that drops paths, though nothing seeds its iterations."""
    video = write_video(tmp_path / 'v.mp4')
    hook = dict(type='SSLVisualizationHook', interval=3, video=str(video), clip_len=4)
    ends = []
    for name, hooks in (('without', []), ('with', [hook])):
        cfg = tiny_cfg(video, tmp_path / name, model__backbone__drop_path_rate=0.3)
        cfg.default_hooks.pop('step_seed')
        cfg.default_hooks.checkpoint = None
        cfg.custom_hooks += hooks
        cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type=x) for x in BACKENDS])
        ends.append(Last())
        with without_visualizers():
            train(cfg, ends[-1])
    without, watched = ends
    assert torch.equal(without.state, watched.state) and without.modes == watched.modes
    for key, value in without.weights.items():
        assert torch.equal(value, watched.weights[key]), key
    files = sorted((tmp_path / 'with').glob('*/vis_data/vis_image/*.png'))
    assert [file.name for file in files] == ['objects_3.png', 'objects_6.png']
    assert cv2.imread(str(files[0])).shape == (28 + 4 * 228 - 4, 4 * 340 - 4, 3)
    (events,) = (tmp_path / 'with').rglob('events.out.tfevents*')
    board = EventAccumulator(str(events), {'images': 0}).Reload()
    assert [image.step for image in board.Images('objects')] == [3, 6]


def test_what_cannot_be_drawn_is_refused_before_training(tmp_path):
    video = write_video(tmp_path / 'v.mp4')
    short = write_video(tmp_path / 'short.mp4', num_frames=8)
    hook = dict(type='SSLVisualizationHook', interval=1, video=str(short), clip_len=3)
    with pytest.raises(ShortVideoError, match='has 8 frames'):
        train(tiny_cfg(video, tmp_path / 'short', custom_hooks=[hook]))
    cfg = tiny_cfg(video, tmp_path / 'dino', custom_hooks=[hook])
    cfg.model = dino_cfg()
    with pytest.raises(ValueError, match='DINO'):
        train(cfg)
    with pytest.raises(ValueError, match='got 0'):
        SSLVisualizationHook(0, video)
