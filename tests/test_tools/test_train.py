"""``tools/train.py`` from the command line."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from tests.utils_run import TINY_CONFIG
from tests.utils_tool import ROOT, load_tool, run_tool

set_resume = load_tool('train').set_resume


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
        *('--seed', 5, '--diff-rank-seed', '--deterministic', '--auto-scale-lr'),
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'auto_scale_lr.enable=False',  # which the option says otherwise
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
    assert state['meta']['seed'] == 5
    run = Config.fromfile(tmp_path / 'run' / 'tiny.py')
    assert run.randomness == dict(seed=5, diff_rank_seed=True, deterministic=True)

    assert run_tool('train', *command[2:], '--resume') == 0
    log = max((tmp_path / 'run').glob('*/*.log'))
    output = log.read_text()
    assert 'Epoch(train) [2][4/4]' in output and 'Epoch(train) [1]' not in output
    state = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=True)
    assert state['state_dict']['tracker.num_draws'] == 8


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
        (['--cfg-options', 'load_from.path=a'], '--cfg-options: load_from='),
        (
            ['--amp', '--cfg-options', 'optim_wrapper.type=Mine'],
            'got Mine',
        ),
        (
            ['--auto-scale-lr', '--cfg-options', 'auto_scale_lr.base_batch_size=None'],
            '--auto-scale-lr: ',
        ),
    ],
)
def test_mistakes_end_with_a_sentence(config, capsys, arguments, message):
    assert run_tool('train', config, *arguments) == 2
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert 'error: ' in last_line and message in last_line


def test_misspelt_key_of_the_config(config, capsys):
    config.write_text(config.read_text() + 'optim_wraper = dict()\n')
    assert run_tool('train', config) == 2
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
def test_files_that_are_not_there(config, capsys, addition, message):
    """Before data are read and a model is built."""
    config.write_text(config.read_text() + addition + '\n')
    assert run_tool('train', config) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c(config, tmp_path):
    """A real one in the middle of a run, sent to the workers too as terminals do."""
    options = ['--cfg-options', 'train_dataloader.num_workers=1', 'train_cfg.max_epochs=999']
    process = subprocess.Popen(
        [sys.executable, 'tools/train.py', config, '--work-dir', tmp_path / 'run', *options],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'CUDA_VISIBLE_DEVICES': '-1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where a shell runs the tests in the background, they ignore it, and so would the run.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert any('Epoch(train)' in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, shown
    assert 'with --resume goes on' in shown and 'Traceback' not in shown


def test_missing_config(tmp_path, capsys):
    assert run_tool('train', tmp_path / 'none.py') == 2
    assert 'none.py does not exist' in capsys.readouterr().err


@pytest.mark.parametrize(
    'resume, expected',
    [(None, (False, None)), ('auto', (True, None)), (__file__, (True, __file__))],
)
def test_resume(resume, expected):
    cfg = Config.fromfile(TINY_CONFIG)
    set_resume(cfg, resume)
    assert (cfg.resume, cfg.load_from) == expected


def test_auto_resume_keeps_load_from_until_there_is_something_to_resume(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth', resume=False))
    set_resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (False, 'weights.pth')
    (tmp_path / 'epoch_1.pth').touch()
    set_resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (True, None)
