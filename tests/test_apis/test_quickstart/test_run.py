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
from mmvidssl.apis.quickstart.run import share_out
from mmvidssl.apis.quickstart.short_run import measure_step_time
from mmvidssl.visualization import read_scalars, write_video

CONFIGS = Path(__file__).parents[3] / 'configs'
DORA = CONFIGS / 'dora/dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py'
MASKFEAT = CONFIGS / 'maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py'


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
def tiny_configs(tmp_path):
    """The quickstart's configs with models that take next to no time."""
    arch = dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)
    neck = dict(in_channels=24, num_prototypes=16, hidden_channels=16, bottleneck_channels=8)
    models = dict(
        dora=dict(backbone=dict(arch=arch), neck=neck, target_generator=dict(num_prototypes=16)),
        maskfeat=dict(backbone=dict(arch=dict(embed_dims=8)), neck=dict(in_channels=16)),
    )
    paths = {}
    for name, config in dict(dora=DORA, maskfeat=MASKFEAT).items():
        paths[name] = tmp_path / f'{name}.py'
        paths[name].write_text(
            f'_base_ = {str(config)!r}\n'
            f'model = {models[name]!r}\n'
            'train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)\n'
            'default_hooks = dict(logger=dict(interval=1))\n'
            'train_cfg = dict(max_iters=12)\n'
        )
    return paths


@pytest.mark.slow
def test_everything_promised_is_left_behind(tmp_path, video, davis, tiny_configs, capfd):
    work_dir = tmp_path / 'work' / 'quickstart'
    (work_dir / 'old').mkdir(parents=True)
    summaries = run_quickstart(video, 0.01, tiny_configs, work_dir, davis=davis)  # no time for more
    assert list(summaries) == ['dora', 'maskfeat']
    for name, summary in summaries.items():
        folder = work_dir / name
        assert summary['iterations'] == 12
        assert summary['footage_seconds'] == pytest.approx(4)
        assert json.loads((folder / 'summary.json').read_text()) == summary
        assert cv2.imread(str(folder / 'loss_curve.png')).size > 0
        backbone = torch.load(folder / summary['backbone'], weights_only=True)
        assert all(k.startswith('backbone.') for k in backbone['state_dict'])
    page = (work_dir / 'report.html').read_text()
    assert 'Not drawn' not in page and page.count('data:image/jpeg') > 20
    for words in ('predicted HOG', 'student sees 1', 'knn: after'):
        assert words in page
    check_dora(work_dir / 'dora', summaries['dora'])
    maskfeat = summaries['maskfeat']
    assert maskfeat['first_loss'] != maskfeat['last_loss']
    for end in ('first', 'last'):
        explained = 1 - maskfeat[f'{end}_loss'] / maskfeat['mean_loss']
        assert maskfeat[f'{end}_explained'] == pytest.approx(explained)
    assert cv2.imread(str(work_dir / 'maskfeat/hog.png')).shape == (1324, 1296, 3)
    screen = capfd.readouterr()
    assert screen.err.count('training: 100%') == 2
    assert 'beyond the 0.01 given' in screen.out
    for words in (
        '12 iterations',
        'DAVIS',
        'before training',
        'after training',
        'Next: ',
        str(work_dir),
    ):
        assert words in screen.out
    left = screen.out.partition('Open this first: ')[2]  # before all else that is left
    assert left.startswith(str(work_dir / 'report.html')) and left.count('\nDone in ') == 2
    assert len(list(tmp_path.glob('work/quickstart.*/old'))) == 1


def check_dora(folder, summary):
    assert summary['log_k'] == pytest.approx(np.log(16))
    scalars = read_scalars(next(folder.glob('*/vis_data/scalars.json')))
    entropies = np.log(16) - scalars['teacher_kl'][1]  # of each iteration; the loss is of ten
    assert summary['last_teacher_entropy'] == pytest.approx(entropies[-10:].mean(), rel=1e-4)
    for end in ('first', 'last'):
        assert summary[f'{end}_kl'] > 0
        assert 0 < summary[f'{end}_jaccard'] <= 1
    last_kl = scalars['loss'][1][-1] - entropies[-10:].mean()
    assert summary['last_kl'] == pytest.approx(last_kl, rel=1e-3)
    assert summary['first_jaccard'] != summary['last_jaccard']
    assert 0 <= summary['overlap'] <= 1
    assert cv2.imread(str(folder / 'object_masks.png')).size > 0
    with av.open(str(folder / 'object_masks.mp4')) as container:
        assert len(list(container.decode(video=0))) > 5
    assert all(0 <= summary['knn'][k] <= 1 for k in ('before', 'after', 'pixels'))


@pytest.mark.slow
def test_step_time_is_measured_on_a_run_of_its_own(tmp_path, video, tiny_configs):
    cfg = Config.fromfile(tiny_configs['dora'])
    cfg.train_dataloader.dataset.update(ann_file='', data_root=str(tmp_path), videos=[video.name])
    cfg.work_dir = str(tmp_path / 'work')
    before = cfg.copy()
    assert 0 < measure_step_time(cfg) < 20
    assert cfg.to_dict() == before.to_dict()
    assert not any((tmp_path / 'work').rglob('*'))


def test_more_time_is_shared_out_in_equal_parts():
    usual, steps = dict(dora=100, maskfeat=200), dict(dora=1.0, maskfeat=0.5)
    assert share_out(-5, usual, steps) == share_out(200, usual, steps) == usual
    assert share_out(1000, usual, steps) == dict(dora=100 + 350, maskfeat=200 + 700)  # of 900


@pytest.mark.parametrize(
    ('config', 'davis', 'message'),
    [(MASKFEAT, None, 'not of --method dora'), (DORA, 'elsewhere', 'elsewhere/Annotations')],
)
def test_nothing_is_moved_before_all_is_there(tmp_path, video, config, davis, message):
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work/old').touch()
    with pytest.raises((ValueError, OSError), match=message):
        run_quickstart(video, None, dict(dora=config), tmp_path / 'work', davis=davis)
    assert (tmp_path / 'work/old').exists()


@pytest.mark.parametrize('minutes', [0, -1.0, float('nan'), float('inf')])
def test_impossible_minutes(tmp_path, minutes):
    with pytest.raises(ValueError, match=f'positive, got {minutes}'):
        run_quickstart('video.mp4', minutes, dict(dora=DORA), tmp_path / 'work')
