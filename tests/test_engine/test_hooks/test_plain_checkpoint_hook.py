"""Checkpoints of real runs: stopped and resumed equals uninterrupted."""

import os

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvidssl.models.utils import resize_pos_embed
from tests.utils_run import ITERS_PER_EPOCH, NUM_EPOCHS, tiny_cfg, train


def load(path):
    return torch.load(path, weights_only=True)


def options_of(num_workers):
    return dict(
        model__backbone__drop_path_rate=0.3,
        train_dataloader__num_workers=num_workers,
        train_dataloader__persistent_workers=num_workers > 0,
    )


@pytest.fixture(scope='module', params=[0, 2], ids=['0 workers', '2 workers'])
def run(request, video, tmp_path_factory):
    """An uninterrupted run's options and work dir."""
    options = options_of(request.param)
    work_dir = tmp_path_factory.mktemp('whole')
    train(tiny_cfg(video, work_dir, **options))
    return options, work_dir


def assert_equal(first, second, where=''):
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_equal(first[key], second[key], f'{where}.{key}')
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), where
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_equal(*pair, f'{where}[{index}]')
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second, where


def test_resumed_equals_uninterrupted(run, video, tmp_path):
    options, whole = run
    cfg = tiny_cfg(video, tmp_path, **options)
    cfg.resume, cfg.load_from = True, str(whole / 'epoch_1.pth')
    resumed = train(cfg)
    assert resumed.epoch == NUM_EPOCHS
    first, second = load(whole / 'epoch_2.pth'), load(tmp_path / 'epoch_2.pth')
    assert {'target_generator.center', 'tracker.num_draws'} <= first['state_dict'].keys()
    assert first['state_dict']['tracker.num_draws'] == ITERS_PER_EPOCH * NUM_EPOCHS
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_equal(first[key], second[key], key)
    histories = [c['message_hub']['log_scalars'] for c in (first, second)]
    for key in ('train/loss', 'train/loss_object', 'train/teacher_momentum', 'train/lr'):
        assert_equal(*(history[key] for history in histories), key)
        assert len(histories[1][key]['history_buffer']['values']) == ITERS_PER_EPOCH * NUM_EPOCHS
    assert not torch.equal(
        first['state_dict']['backbone.pos_embed'],
        load(whole / 'epoch_1.pth')['state_dict']['backbone.pos_embed'],
    )


def test_resumed_in_the_middle_of_an_epoch(video, tmp_path):
    """Counting iterations, 3 of 6, where an epoch has 4."""

    def cfg_in(folder, max_iters):
        cfg = tiny_cfg(video, tmp_path / folder, param_scheduler=None, resume=True)
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
        # a cosine over the iterations of the run would differ between the two
        cfg.custom_hooks = [dict(type='TeacherMomentumHook', momentum=0.1, end_momentum=0.1)]
        cfg.default_hooks.checkpoint.update(by_epoch=False, interval=3)
        return cfg

    train(cfg_in('whole', 6))
    train(cfg_in('parts', 3))
    train(cfg_in('parts', 6))
    first, second = (load(tmp_path / name / 'iter_6.pth') for name in ('whole', 'parts'))
    for key in ('state_dict', 'optimizer'):
        assert_equal(first[key], second[key], key)


def test_resume_finds_the_latest(video, tmp_path):
    train(tiny_cfg(video, tmp_path, train_cfg__max_epochs=1))
    cfg = tiny_cfg(video, tmp_path, resume=True)
    recorder = EpochRecorder()
    train(cfg, recorder)
    assert recorder.epochs == [1]
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    assert not [name for name in os.listdir(tmp_path) if '.tmp' in name]


class Killed(Exception):
    pass


class KillHook(Hook):
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            raise Killed


def test_interim_checkpoint(run, video, tmp_path):
    """Within the first epoch; resumed from it, the run ends as the uninterrupted one."""
    options, whole = run

    def cfg(**more):
        cfg = tiny_cfg(video, tmp_path, **options, **more)
        cfg.default_hooks.checkpoint.minutes = 0
        return cfg

    with pytest.raises(Killed):
        train(cfg(), KillHook())
    assert [p.name for p in tmp_path.glob('*.pth')] == ['interim.pth']
    assert load(tmp_path / 'interim.pth')['meta']['iter'] == 3
    train(cfg(resume=True))
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    first, second = load(whole / 'epoch_2.pth'), load(tmp_path / 'epoch_2.pth')
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_equal(first[key], second[key], key)


class EpochRecorder(Hook):
    def __init__(self):
        self.epochs = []

    def before_train_epoch(self, runner):
        self.epochs.append(runner.epoch)


@pytest.fixture(scope='module')
def checkpoint(video, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('one')
    train(tiny_cfg(video, work_dir, train_cfg__max_epochs=1))
    return work_dir / 'epoch_1.pth'


@pytest.mark.parametrize('resume', [True, False])
def test_refuses_another_architecture(checkpoint, video, tmp_path, resume):
    cfg = tiny_cfg(video, tmp_path, resume=resume, load_from=str(checkpoint))
    cfg.model.neck.num_prototypes = cfg.model.target_generator.num_prototypes = 20
    with pytest.raises(ValueError, match='center: 1x16 in .*, 1x20'):
        train(cfg)


def test_loads_initial_weights_without_resuming(checkpoint, video, tmp_path):
    cfg = tiny_cfg(video, tmp_path, load_from=str(checkpoint))
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    weights = load(checkpoint)['state_dict']
    assert_equal(dict(runner.model.state_dict()), dict(weights))
    assert runner.epoch == 0


def test_initial_weights_of_another_img_size_are_interpolated(checkpoint, video, tmp_path):
    cfg = tiny_cfg(video, tmp_path, load_from=str(checkpoint))
    cfg.model.backbone.img_size = 48
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    weights, state = load(checkpoint)['state_dict'], runner.model.state_dict()
    for key in ('backbone.pos_embed', 'teacher.backbone.pos_embed'):
        expected = resize_pos_embed(weights[key], (4, 4), (6, 6))
        assert state[key].shape == (1, 37, 24) and torch.equal(state[key], expected)
    cfg = tiny_cfg(video, tmp_path, load_from=str(checkpoint), resume=True)
    cfg.model.backbone.img_size = 48
    with pytest.raises(ValueError, match='pos_embed: 1x17x24'):
        Runner.from_cfg(cfg).load_or_resume()


def test_a_published_backbone_starts_student_and_teacher(checkpoint, video, tmp_path):
    weights = load(checkpoint)['state_dict']
    teacher = {
        key.removeprefix('teacher.'): value
        for key, value in weights.items()
        if key.startswith('teacher.backbone.')
    }
    torch.save(dict(state_dict=teacher), tmp_path / 'backbone.pth')
    cfg = tiny_cfg(video, tmp_path, load_from=str(tmp_path / 'backbone.pth'))
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    state = runner.model.state_dict()
    for key, value in teacher.items():
        assert torch.equal(state[key], value), key
        assert torch.equal(state[f'teacher.{key}'], value), key


def test_a_full_disk_leaves_the_previous_checkpoint(video, tmp_path, monkeypatch):
    """Even if only one is to be kept: it goes when the next is there."""
    cfg = tiny_cfg(video, tmp_path, default_hooks__checkpoint__max_keep_ckpts=1)
    first = EpochRecorder()
    first.after_train_epoch = lambda runner: monkeypatch.setattr(os, 'fsync', no_space)
    with pytest.raises(OSError, match=r'epoch_2.pth \(No space left') as error:
        train(cfg, first)
    assert error.value.errno == 28
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_1.pth']
    assert not list(tmp_path.glob('.*tmp*'))
    monkeypatch.undo()
    recorder = EpochRecorder()
    train(tiny_cfg(video, tmp_path, resume=True), recorder)
    assert recorder.epochs == [1]


def no_space(*args):
    raise OSError(28, 'No space left on device')


def test_last_checkpoint_is_never_half_written(video, tmp_path, monkeypatch):
    replace = os.replace

    def fail_for_the_second_note(source, target):
        if os.path.basename(target) == 'last_checkpoint' and os.path.exists(target):
            raise OSError(5, 'Input/output error')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', fail_for_the_second_note)
    cfg = tiny_cfg(video, tmp_path, default_hooks__checkpoint__max_keep_ckpts=1)
    with pytest.raises(OSError, match='last_checkpoint'):
        train(cfg)
    named = (tmp_path / 'last_checkpoint').read_text()
    assert named == str(tmp_path / 'epoch_1.pth') and os.path.isfile(named)


def test_old_checkpoints_are_removed(video, tmp_path):
    for max_epochs in (2, 4):  # those of before the resume, too
        cfg = tiny_cfg(video, tmp_path, resume=True, train_cfg__max_epochs=max_epochs)
        cfg.default_hooks.checkpoint.max_keep_ckpts = 2
        train(cfg)
        expected = {f'epoch_{max_epochs - 1}.pth', f'epoch_{max_epochs}.pth'}
        assert {path.name for path in tmp_path.glob('*.pth')} == expected


def test_resumes_from_the_newest_if_the_last_is_missing(video, tmp_path):
    train(tiny_cfg(video, tmp_path))
    (tmp_path / 'epoch_2.pth').unlink()
    recorder = EpochRecorder()
    train(tiny_cfg(video, tmp_path, resume=True), recorder)
    assert recorder.epochs == [1]


def test_resumes_from_where_it_writes(video, tmp_path):
    """In a folder named after the work dir; ``last_checkpoint`` is lost."""
    options = dict(default_hooks__checkpoint__out_dir=str(tmp_path / 'out'))
    work_dir = tmp_path / 'run'
    train(tiny_cfg(video, work_dir, train_cfg__max_epochs=1, **options))
    assert (tmp_path / 'out' / 'run' / 'epoch_1.pth').is_file()
    (work_dir / 'last_checkpoint').unlink()
    recorder = EpochRecorder()
    train(tiny_cfg(video, work_dir, resume=True, **options), recorder)
    assert recorder.epochs == [1]
