"""The quickstart for real, with next to no time, on a tiny video."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis.quickstart import run_quickstart
from mmvidssl.apis.quickstart.short_run import measure_step_time
from mmvidssl.visualization import read_scalars, write_video

CONFIG = Path(__file__).parents[3] / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-900i_quickstart.py'


@pytest.fixture
def video(tmp_path):
    """Two shots of a coloured block over a texture."""
    frames = []
    for shot in range(2):
        texture = np.random.default_rng(shot).integers(0, 80, (12, 16, 3), np.uint8)
        background = np.kron(texture, np.ones((8, 8, 1), np.uint8)) + np.uint8(120 * shot)
        for i in range(20):
            frame = background.copy()
            frame[20:50, 2 * i : 2 * i + 30] = (230, 40, 60)
            frames.append(frame)
    write_video(tmp_path / 'blocks.mp4', np.stack(frames), fps=10)
    return tmp_path / 'blocks.mp4'


@pytest.fixture
def tiny_config(tmp_path):
    """The quickstart's config with a model and crops that take next to no time."""
    path = tmp_path / 'tiny.py'
    arch = dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)
    neck = dict(in_channels=24, num_prototypes=16, hidden_channels=16, bottleneck_channels=8)
    model = dict(backbone=dict(arch=arch), neck=neck, target_generator=dict(num_prototypes=16))
    path.write_text(
        f'_base_ = {str(CONFIG)!r}\n'
        f'model = {model!r}\n'
        'train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)\n'
        'default_hooks = dict(logger=dict(interval=1))\n'
        'train_cfg = dict(max_iters=12)\n'
    )
    return path


@pytest.mark.slow
def test_everything_promised_is_left_behind(tmp_path, video, tiny_config, capfd):
    work_dir = tmp_path / 'work' / 'quickstart'
    (work_dir / 'old').mkdir(parents=True)
    summary = run_quickstart(video, 0.01, tiny_config, work_dir)  # no time for more
    assert summary['iterations'] == 12
    assert summary['footage_seconds'] == pytest.approx(4)
    assert json.loads((work_dir / 'summary.json').read_text()) == summary
    assert cv2.imread(str(work_dir / 'loss_curve.png')).size > 0
    assert summary['log_k'] == pytest.approx(np.log(16))
    scalars = read_scalars(next(work_dir.glob('*/vis_data/scalars.json')))
    entropies = np.log(16) - scalars['teacher_kl'][1]  # of each iteration; the loss is of ten
    assert summary['last_teacher_entropy'] == pytest.approx(entropies[-10:].mean(), rel=1e-4)
    for end in ('first', 'last'):
        loss, kl, entropy = (summary[f'{end}_{k}'] for k in ('loss', 'kl', 'teacher_entropy'))
        assert loss == pytest.approx(kl + entropy) and kl > 0
    assert 0 <= summary['overlap'] <= 1
    assert cv2.imread(str(work_dir / 'object_masks.png')).size > 0
    with av.open(str(work_dir / 'object_masks.mp4')) as container:
        assert len(list(container.decode(video=0))) > 5
    backbone = torch.load(work_dir / summary['backbone'], weights_only=True)
    assert all(k.startswith('backbone.') for k in backbone['state_dict'])
    assert all(0 <= summary['knn'][k] <= 1 for k in ('before', 'after', 'pixels'))
    screen = capfd.readouterr()
    assert 'training: 100%' in screen.err
    assert 'beyond the 0.01 given' in screen.out
    for words in ('12 iterations', 'before training', 'after training', 'Next: ', str(work_dir)):
        assert words in screen.out
    assert len(list(tmp_path.glob('work/quickstart.*/old'))) == 1


@pytest.mark.slow
def test_step_time_is_measured_on_a_run_of_its_own(tmp_path, video, tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.train_dataloader.dataset.update(ann_file='', data_root=str(tmp_path), videos=[video.name])
    cfg.work_dir = str(tmp_path / 'work')
    before = cfg.copy()
    assert 0 < measure_step_time(cfg) < 20
    assert cfg.to_dict() == before.to_dict()
    assert not any((tmp_path / 'work').rglob('*'))


@pytest.mark.parametrize('minutes', [0, -1.0, float('nan'), float('inf')])
def test_impossible_minutes(tmp_path, tiny_config, minutes):
    with pytest.raises(ValueError, match=f'positive, got {minutes}'):
        run_quickstart('video.mp4', minutes, tiny_config, tmp_path / 'work')
