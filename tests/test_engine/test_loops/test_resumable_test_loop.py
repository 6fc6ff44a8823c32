"""Tests of a frozen backbone from ``tools/test.py``: stopped, resumed, on two processes."""

import json
import os
import shutil
import socket
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmvidssl.datasets.readers import read_image
from mmvidssl.evaluation import knn_accuracy
from mmvidssl.registry import MODELS
from tests.utils_export import write
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg
from tests.utils_tool import ROOT, run_tool

STOP = ('--cfg-options', 'custom_hooks.0.type=StopHook')
COUNTS = dict(train=5, val=3)
CONFIG = """
_base_ = '{root}/configs/_base_/frozen_runtime.py'
model = dict(type='FrozenEncoder', bgr_to_rgb=True, backbone={backbone})
def data(split):
    return dict(
        type='mmpretrain.CustomDataset',
        data_root='{folder}',
        data_prefix=split,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='SetKeys', split=split),
            dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'split')),
        ],
    )
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=[data('train'), data('val')]),
)
test_evaluator = [dict(type='KNNMetric', k=[1, 3])]
"""


@HOOKS.register_module()
class StopHook(Hook):
    """Ends a test as Ctrl-C does, and counts its batches."""

    batches = 0

    def __init__(self, after: int) -> None:
        self.after = after

    def before_test(self, runner) -> None:
        StopHook.batches = 0

    def after_test_iter(self, runner, batch_idx, **kwargs) -> None:
        StopHook.batches += 1
        if StopHook.batches > self.after:
            raise KeyboardInterrupt


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Three classes of pictures, a config, and checkpoints of DoRA and MaskFeat."""
    folder, rng = tmp_path_factory.mktemp('frozen'), np.random.default_rng(0)
    for split, count in COUNTS.items():
        for number, name in enumerate(('cat', 'dog', 'eel')):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                colour = rng.integers(0, 90, 3) + 40 * number
                picture = rng.integers(0, 60, (32, 32, 3)) + colour
                cv2.imwrite(str(folder / split / name / f'{i}.png'), picture.astype(np.uint8))
    text = CONFIG.format(root=ROOT, folder=folder, backbone=backbone_cfg())
    (folder / 'frozen.py').write_text(text)
    write(dora_cfg(), folder / 'dora.pth')
    write(maskfeat_cfg(), folder / 'maskfeat.pth')
    return folder


def evaluate(folder, work_dir, *options, checkpoint='dora.pth'):
    path = folder / checkpoint if checkpoint.endswith('.pth') else checkpoint
    code = run_tool('test', folder / 'frozen.py', path, '--work-dir', work_dir, *options)
    assert code == 0
    return json.loads((work_dir / 'evaluation.json').read_text())


@torch.no_grad()
def by_hand(folder, backbone):
    """From pictures that are read, normalised and voted on here."""
    sets = []
    for split, count in COUNTS.items():
        files = sorted((folder / split).rglob('*.png'))
        pixels = np.stack([read_image(file) for file in files]).transpose(0, 3, 1, 2)
        mean, std = (
            torch.tensor(v).view(3, 1, 1)
            for v in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        )
        features = backbone((torch.from_numpy(pixels) - mean) / std)[-1]
        sets += [features, torch.arange(3).repeat_interleave(count)]
    return {f'knn/top1_k{k}': 100 * knn_accuracy(*sets, 3, k) for k in (1, 3)}


def test_weights_are_the_teachers(folder, tmp_path, capsys):
    model = write(dora_cfg(), folder / 'dora.pth')
    found = evaluate(folder, tmp_path)
    assert found['metrics'] == pytest.approx(by_hand(folder, model.teacher.backbone))
    assert 'top1_k3' in capsys.readouterr().out
    assert found['files'][str(folder / 'val/dog')] == 3
    assert found['settings']['test_evaluator'][0]['k'] == [1, 3]
    option = 'default_hooks.pretrained_report.role=student'
    student = evaluate(folder, tmp_path, '--cfg-options', option)
    assert student['metrics'] == pytest.approx(by_hand(folder, model.backbone))


def test_goes_on_where_it_was_stopped(folder, tmp_path):
    whole = evaluate(folder, tmp_path / 'whole')
    stop = (*STOP, 'custom_hooks.0.after=4')
    with pytest.raises(KeyboardInterrupt):
        evaluate(folder, tmp_path, *stop)
    assert len(list(tmp_path.glob('results/*/*.pt'))) == 4
    found = evaluate(folder, tmp_path, *stop[:-1], 'custom_hooks.0.after=99')
    assert StopHook.batches == 12 - 4
    assert found['metrics'] == whole['metrics'] and found['files'] == whole['files']
    assert not list(tmp_path.glob('results/*'))


def test_other_settings_begin_anew(folder, tmp_path):
    """Each of what results depend on has a folder of its own."""
    for number, options in enumerate(
        [
            (),
            ('default_hooks.pretrained_report.role=student',),
            ('test_evaluator.0.temperature=0.1',),
            ('test_cfg.fp16=True',),
        ],
        start=1,
    ):
        with pytest.raises(KeyboardInterrupt):
            evaluate(folder, tmp_path, *STOP, 'custom_hooks.0.after=1', *options)
        assert len(list(tmp_path.glob('results/*'))) == number
    more = folder / 'train/cat/more.png'
    shutil.copy(folder / 'train/cat/0.png', more)
    with pytest.raises(KeyboardInterrupt):
        evaluate(folder, tmp_path, *STOP, 'custom_hooks.0.after=1')
    more.unlink()
    assert len(list(tmp_path.glob('results/*'))) == number + 1


@pytest.mark.slow
def test_two_processes_go_on_for_one(folder, tmp_path):
    """Each takes its share of 21 samples, and one of them is taken twice."""
    whole = evaluate(folder, tmp_path / 'whole')
    stop = (*STOP, 'custom_hooks.0.after=1')
    with pytest.raises(KeyboardInterrupt):
        evaluate(folder, tmp_path, *stop, 'test_dataloader.batch_size=3')
    (kept,) = tmp_path.glob('results/*/*.pt')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    command = ['bash', 'tools/dist_test.sh', folder / 'frozen.py', folder / 'dora.pth', '2']
    variables = dict(PORT=port, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1')
    variables['PATH'] = f'{os.path.dirname(sys.executable)}{os.pathsep}{os.environ["PATH"]}'
    result = subprocess.run(
        [*command, '--work-dir', tmp_path],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'evaluation.json').read_text())
    assert found['metrics'] == whole['metrics'] and found['files'] == whole['files']
    assert not kept.exists()


def test_weights_of_another_model_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match='maskfeat.pth'):
        evaluate(folder, tmp_path, checkpoint='maskfeat.pth')
    assert run_tool('test', folder / 'frozen.py', folder / 'absent.pth') == 2


def test_random_weights_are_those_of_the_seed(folder, tmp_path):
    """Which initialises the backbone as its class says, not as torch's layers do."""
    found = evaluate(folder, tmp_path / 'a', checkpoint='none')
    torch.manual_seed(0)
    backbone = MODELS.build(backbone_cfg())
    torch.manual_seed(0)
    backbone.init_weights()
    assert found['metrics'] == pytest.approx(by_hand(folder, backbone.eval()))
    assert found['checkpoint'] is None


def test_a_broken_file_of_results_is_named(folder, tmp_path):
    stop = (*STOP, 'custom_hooks.0.after=1')
    with pytest.raises(KeyboardInterrupt):
        evaluate(folder, tmp_path, *stop)
    (kept,) = tmp_path.glob('results/*/*.pt')
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(ValueError, match=kept.name):
        evaluate(folder, tmp_path, *stop[:-1], 'custom_hooks.0.after=99')
