"""``tools/train.py`` from the command line."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.utils_run import TINY_CONFIG

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path, video):
    path = tmp_path / 'tiny.py'
    path.write_text(
        f"_base_ = '{TINY_CONFIG}'\ntrain_dataloader = dict(dataset=dict(videos=['{video}']))\n"
    )
    return path


@pytest.mark.slow
def test_trains_and_resumes(shell, config, tmp_path):
    command = ['python', 'tools/train.py', config, '--work-dir', tmp_path / 'run']
    options = [
        '--amp',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'optim_wrapper.optimizer.lr=0.064',
    ]
    first = shell(*command, *options)
    assert first.returncode == 0, first.stderr
    shown = first.stdout + first.stderr
    assert 'Epoch(train) [1][4/4]' in shown
    assert len(shown.split('Epoch(train)')[0].splitlines()) < 40
    (log,) = (tmp_path / 'run').rglob('*.log')
    assert 'TeacherMomentumHook' in log.read_text() and 'param_scheduler = [' in log.read_text()
    state = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)
    assert state['optimizer']['param_groups'][0]['initial_lr'] == pytest.approx(0.064 * 2 / 256)

    resumed = shell(*command, '--resume')
    assert resumed.returncode == 0, resumed.stderr
    output = resumed.stdout + resumed.stderr
    assert 'Epoch(train) [2][4/4]' in output and 'Epoch(train) [1]' not in output
    state = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=True)
    assert state['state_dict']['tracker.num_draws'] == 8


@pytest.fixture(scope='module')
def train_tool():
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools' / 'train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--resume', 'none.pth'], '--resume: checkpoint none.pth does not exist'),
        (
            ['--cfg-options', 'optim_wrapper.optimiser.lr=1'],
            "unknown config key 'optim_wrapper.optimiser'",
        ),
        (['--cfg-options', 'optim_wrapper.optimiser.lr=1'], "Did you mean 'optim_wrapper.optimi"),
        (['--cfg-options', 'param_scheduler.9={}'], "unknown config key 'param_scheduler.9'"),
        (
            ['--amp', '--cfg-options', 'optim_wrapper.type=Mine'],
            'no mixed precision is known for Mine',
        ),
    ],
)
def test_mistakes_end_with_a_sentence(train_tool, config, monkeypatch, capsys, arguments, message):
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config), *arguments])
    with pytest.raises(SystemExit) as error:
        train_tool.main()
    assert error.value.code == 2
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert 'error: ' in last_line and message in last_line


def test_misspelt_key_of_the_config(train_tool, config, monkeypatch, capsys):
    config.write_text(config.read_text() + 'optim_wraper = dict()\n')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config)])
    with pytest.raises(SystemExit):
        train_tool.main()
    error = capsys.readouterr().err
    assert "unknown config key 'optim_wraper'" in error and "mean 'optim_wrapper'" in error


@pytest.mark.parametrize(
    'addition, message',
    [
        (
            "model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='no.pth')))",
            'model.backbone.init_cfg: no.pth does not exist. Name the pretrained weights with',
        ),
        (
            "val_dataloader = dict(dataset=dict(ann_file='no.json', metainfo=dict(classes=['a'])))",
            'val_dataloader.dataset.ann_file: no.json does not exist. Name another with',
        ),
    ],
)
def test_files_that_are_not_there(train_tool, config, monkeypatch, capsys, addition, message):
    """Before data are read and a model is built."""
    config.write_text(config.read_text() + addition + '\n')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config)])
    with pytest.raises(SystemExit) as error:
        train_tool.main()
    assert error.value.code == 2 and message in capsys.readouterr().err


def test_ctrl_c(train_tool, config, monkeypatch, capsys):
    def interrupted(cfg):
        raise KeyboardInterrupt

    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config)])
    monkeypatch.setattr(train_tool.TerseRunner, 'from_cfg', interrupted)
    with pytest.raises(SystemExit) as error:
        train_tool.main()
    assert error.value.code == 130
    assert 'with --resume goes on' in capsys.readouterr().err


def test_missing_config(shell, tmp_path):
    result = shell('python', 'tools/train.py', tmp_path / 'none.py')
    assert result.returncode == 2
    assert 'none.py does not exist' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    'resume, expected',
    [(None, (False, None)), ('auto', (True, None)), (__file__, (True, __file__))],
)
def test_resume(train_tool, resume, expected):
    cfg = Config.fromfile(TINY_CONFIG)
    train_tool.set_resume(cfg, resume)
    assert (cfg.resume, cfg.load_from) == expected


def test_auto_resume_keeps_load_from_until_there_is_something_to_resume(train_tool, tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth', resume=False))
    train_tool.set_resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (False, 'weights.pth')
    (tmp_path / 'epoch_1.pth').touch()
    train_tool.set_resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (True, None)
