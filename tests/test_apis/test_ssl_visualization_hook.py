"""Pictures in training: they are written, and the run is as without them."""

from types import SimpleNamespace

import cv2
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.visualization import LocalVisBackend, Visualizer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmvidssl.apis import SSLVisualizationHook
from mmvidssl.datasets.readers import ShortVideoError
from mmvidssl.engine import KNNMonitorHook
from mmvidssl.registry import MODELS
from tests.utils_model import dino_cfg, dora_cfg, maskfeat_cfg
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


MASKED = [
    dict(type='DecodeClip'),
    dict(type='ClipRandomResizedCrop', size=32),
    dict(type='CubeMask', mask_window=(2, 4, 4), min_num_patches=1, max_num_patches=8),
    dict(type='PackClipInputs'),
]


@pytest.mark.parametrize(
    ('model', 'picture', 'shape'),
    [
        (None, 'objects', (28 + 4 * 228 - 4, 4 * 340 - 4, 3)),
        (maskfeat_cfg(), 'predictions', (28 + 2 * 132 - 4, 4 * 132 - 4, 3)),
        (dino_cfg(), 'features', (28 + 4 * 228 - 4, 2 * 340 - 4, 3)),
    ],
    ids=['DoRA', 'MaskFeat', 'DINO'],
)
def test_a_run_is_the_same_to_the_bit_and_leaves_pictures(tmp_path, model, picture, shape):
    """Of a student that drops paths, though nothing seeds its iterations."""
    video = write_video(tmp_path / 'v.mp4')
    hook = dict(type='SSLVisualizationHook', interval=3, video=str(video), clip_len=4)
    ends = []
    for name, hooks in (('without', []), ('with', [hook])):
        cfg = tiny_cfg(video, tmp_path / name)
        cfg.model = model or cfg.model
        cfg.model.backbone.drop_path_rate = 0.3
        if picture == 'predictions':  # the backbone that is trained is the one that draws
            cfg.train_dataloader.dataset.update(clip_len=4, pipeline=MASKED)
            cfg.custom_hooks = []
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
    assert [file.name for file in files] == [f'{picture}_3.png', f'{picture}_6.png']
    assert cv2.imread(str(files[0])).shape == shape
    (events,) = (tmp_path / 'with').rglob('events.out.tfevents*')
    board = EventAccumulator(str(events), {'images': 0}).Reload()
    assert [image.step for image in board.Images(picture)] == [3, 6]


def test_what_cannot_be_drawn_is_refused_before_training(tmp_path):
    video = write_video(tmp_path / 'v.mp4')
    short = write_video(tmp_path / 'short.mp4', num_frames=8)
    hook = dict(type='SSLVisualizationHook', interval=1, video=str(short), clip_len=3)
    with pytest.raises(ShortVideoError, match='has 8 frames'):
        train(tiny_cfg(video, tmp_path / 'short', custom_hooks=[hook]))
    cfg = tiny_cfg(video, tmp_path / 'maskless', custom_hooks=[hook])
    cfg.model = maskfeat_cfg()
    with pytest.raises(ValueError, match='no mask'):
        train(cfg)
    with pytest.raises(ValueError, match='got 0'):
        SSLVisualizationHook(0, video)


def of_two_processes(rank, folder):
    """Each refuses a mistake; the second has nothing to draw with, and is not asked to."""
    torch.set_num_threads(1)  # as forked processes must
    torch.distributed.init_process_group('gloo', f'file://{folder}/meet', rank=rank, world_size=2)
    backends = [LocalVisBackend(save_dir=f'{folder}/{rank}')]
    visualizer = Visualizer(vis_backends=backends)
    runner = SimpleNamespace(
        model=MODELS.build(dora_cfg()), cfg=None, iter=0, visualizer=visualizer
    )
    with pytest.raises(ShortVideoError):
        SSLVisualizationHook(1, folder / 'v.mp4', 31).before_train(runner)
    with pytest.raises(FileNotFoundError):
        KNNMonitorHook(1, data_root=str(folder / 'none')).before_train(runner)
    hook = SSLVisualizationHook(1, folder / 'v.mp4', 2)
    hook.before_train(runner)
    if rank == 1:
        del hook.frames
    hook.after_train_iter(runner, 0)
    torch.distributed.destroy_process_group()


def test_all_processes_see_a_mistake_and_the_first_draws(tmp_path):
    write_video(tmp_path / 'v.mp4')
    # Forked, they need not import everything again.
    mp.start_processes(of_two_processes, (tmp_path,), nprocs=2, start_method='fork')
    pictures = [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob('objects_1.png')]
    assert pictures == ['0']
