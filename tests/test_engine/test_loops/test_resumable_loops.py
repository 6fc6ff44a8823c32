"""What the loops do at their borders, refuse, and make of a run that was set up otherwise."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop

from tests.utils_run import ITERS_PER_EPOCH, NUM_EPOCHS, tiny_cfg, train

NUM_ITERS = ITERS_PER_EPOCH * NUM_EPOCHS


class Watch(Hook):
    def __init__(self):
        self.clips, self.batches, self.groups, self.epochs = [], [], [], []

    def before_train_epoch(self, runner):
        self.epochs.append(runner.epoch)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append((runner.iter, batch_idx))
        self.clips += [tuple(sample.frame_inds) for sample in data_batch['data_samples']]
        groups = runner.optim_wrapper.param_groups  # the last says base_lr
        self.groups.append([(group['lr'], group['weight_decay']) for group in groups])


def run(video, work_dir, loop='ResumableEpochTrainLoop', watch=None, **options):
    cfg = tiny_cfg(video, work_dir, **options)
    length = dict(max_epochs=NUM_EPOCHS) if 'Epoch' in loop else dict(max_iters=NUM_ITERS - 1)
    cfg.train_cfg = dict(type=loop, **length)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=3, max_keep_ckpts=-1)
    return train(cfg, *([watch] if watch else []))


@pytest.fixture(scope='module')
def stopped(video, tmp_path_factory):
    """A checkpoint after 3 of 4 iterations of the first epoch, and the clips of the run."""
    work_dir, watch = tmp_path_factory.mktemp('stopped'), Watch()
    run(video, work_dir, watch=watch)
    return str(work_dir / 'iter_3.pth'), watch


def test_iterations_count_epochs_of_the_data(video, tmp_path):
    watch = Watch()
    runner = run(video, tmp_path, 'ResumableIterTrainLoop', watch)
    assert runner.iter == NUM_ITERS - 1 and runner.max_epochs == NUM_EPOCHS
    assert watch.batches == [(i, i % ITERS_PER_EPOCH) for i in range(NUM_ITERS - 1)]
    assert watch.epochs == [0, 1]


def test_both_loops_see_mmengines_order(video, tmp_path, stopped):
    expected = Watch()
    run(video, tmp_path / 'mmengine', 'EpochBasedTrainLoop', expected)
    assert stopped[1].clips == expected.clips


def test_stops_at_once_on_demand(video, tmp_path):
    class StopHook(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            runner.train_loop.stop_training = runner.iter == 1

    runner = run(video, tmp_path, watch=StopHook())
    assert runner.iter == 2 and runner.train_loop.position == (0, 4)


def test_validates_by_iteration(video, tmp_path):
    validated = []
    cfg = tiny_cfg(video, tmp_path, default_hooks__checkpoint=None)
    length = dict(max_iters=7, val_begin=3, val_interval=2, dynamic_intervals=[(6, 1)])
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', **length)

    class FakeValLoop(BaseLoop):
        def run(self):
            self.runner.model.eval()
            validated.append(self.runner.iter)

    class Start(Hook):
        def before_train(self, runner):
            runner._val_loop = FakeValLoop(runner, runner.train_dataloader)

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            assert runner.model.training

    train(cfg, Start())
    assert validated == [4, 5, 6, 7]


@pytest.mark.parametrize('batch_size', [1, 4])
def test_another_batch_size_goes_on_at_the_same_clip(
    video, tmp_path, stopped, batch_size, monkeypatch
):
    checkpoint, before = stopped
    options = dict(train_dataloader__batch_size=batch_size)
    whole, watch, messages = Watch(), Watch(), []
    run(video, tmp_path / 'whole', watch=whole, **options)
    monkeypatch.setattr(MMLogger, 'warning', lambda self, message: messages.append(message))
    run(video, tmp_path / 'resumed', watch=watch, resume=True, load_from=checkpoint, **options)
    first = watch.batches[0][0]
    assert first == 6 // batch_size
    assert watch.clips[0] == before.clips[6]
    assert watch.clips == before.clips[6:]
    # learning rate and weight decay are those of a run that was set up so from the start
    assert watch.groups == whole.groups[first:]
    (message,) = [m for m in messages if 'the checkpoint was written' in m]
    assert 'by 1 processes with batches of 2 (4 iterations an epoch)' in message
    assert f'same sample, 6 of epoch 0 (from 0), which is its iteration {first}' in message


def test_refuses_a_data_set_of_another_length(video, tmp_path, stopped):
    options = dict(resume=True, load_from=stopped[0], train_dataloader__dataset__clip_len=3)
    with pytest.raises(ValueError, match=r'a data set of 28 samples, this one has 26'):
        run(video, tmp_path, **options)


@pytest.fixture
def renamed(video, tmp_path):
    """The same footage under another name."""
    return shutil.copy(video, tmp_path / 'other.mp4')


def test_refuses_another_video_of_the_same_length(tmp_path, stopped, renamed):
    message = r"videos was \['video.mp4', 28\], is \['other.mp4', 28\]\. Restore"
    with pytest.raises(ValueError, match=message):
        run(renamed, tmp_path, resume=True, load_from=stopped[0])


@pytest.mark.parametrize(
    'options, message',
    [
        (
            dict(dataset__interval_unit='seconds', dataset__frame_interval=0.2),
            r'clip_timing was 2, frames.*, is 0.2, seconds',
        ),
        (dict(sampler__shuffle=False), 'shuffle was True, is False. Restore'),
        (dict(sampler__num_samples_per_epoch=7), 'num_samples_per_epoch was 8, is 7'),
    ],
)
def test_refuses_other_samples(video, tmp_path, stopped, options, message):
    options = {f'train_dataloader__{key}': value for key, value in options.items()}
    with pytest.raises(ValueError, match=message):
        run(video, tmp_path, resume=True, load_from=stopped[0], **options)


def test_videos_may_move_and_old_checkpoints_say_less(video, tmp_path, stopped):
    moved = tmp_path / 'moved' / video.name
    moved.parent.mkdir()
    shutil.copy(video, moved)
    checkpoint = torch.load(stopped[0], weights_only=True)
    watch = Watch()
    run(moved, tmp_path / 'new', watch=watch, resume=True, load_from=stopped[0])
    assert watch.clips == stopped[1].clips[6:]
    del checkpoint['train_loop']['fingerprint']
    torch.save(checkpoint, tmp_path / 'old.pth')
    run(video, tmp_path / 'old', resume=True, load_from=str(tmp_path / 'old.pth'))


def test_refuses_a_checkpoint_without_a_position(video, tmp_path, stopped):
    checkpoint = torch.load(stopped[0], weights_only=True)
    del checkpoint['train_loop']
    torch.save(checkpoint, tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='does not say where in the data it was written'):
        run(video, tmp_path, resume=True, load_from=str(tmp_path / 'old.pth'))


def test_refuses_a_sampler_that_cannot_start_in_the_middle(video, tmp_path):
    sampler = dict(type='DefaultSampler', shuffle=True)
    cfg = tiny_cfg(video, tmp_path)
    cfg.train_dataloader.sampler = sampler
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=2)
    with pytest.raises(TypeError, match='such as ClipSampler; got DefaultSampler'):
        train(cfg)


def test_refuses_an_epoch_without_a_batch(video, tmp_path):
    options = dict(train_dataloader__batch_size=9, train_dataloader__drop_last=True)
    with pytest.raises(ValueError, match='8 samples for each process, batch_size=9'):
        run(video, tmp_path, **options)


def test_refuses_half_an_iteration(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path)
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=2.5)
    with pytest.raises(ValueError, match='max_iters must be a whole number, got 2.5'):
        train(cfg)


def of_another_kind(checkpoint):
    """As runs of MMEngine's two schedules, one after the other, have written it."""
    first, *others = checkpoint['param_schedulers']
    linear = {k: v for k, v in first.items() if k not in ('warmup', 'max_share', 'start_ratio')}
    checkpoint['param_schedulers'] = [dict(linear, end=ITERS_PER_EPOCH), first, *others]


@pytest.mark.parametrize(
    'options, edit',
    [({}, of_another_kind), (dict(optim_wrapper__optimizer__lr=0.2), None), ({}, None)],
    ids=['old kind', 'another rate', 'longer'],
)
def test_schedules_of_a_resumed_run_are_its_own(video, tmp_path, stopped, options, edit):
    content = torch.load(stopped[0], weights_only=True)
    length = NUM_EPOCHS if edit or options else NUM_EPOCHS + 1
    if edit:
        edit(content)
    torch.save(content, tmp_path / 'start.pth')
    whole, watch = Watch(), Watch()
    for name, hook in dict(whole=whole, resumed=watch).items():
        cfg = tiny_cfg(video, tmp_path / name, default_hooks__checkpoint=None, **options)
        cfg.train_cfg.max_epochs = length
        if name == 'resumed':
            cfg.default_hooks.checkpoint = dict(type='PlainCheckpointHook', interval=9)
            cfg.resume, cfg.load_from = True, str(tmp_path / 'start.pth')
        train(cfg, hook)
    assert len(watch.groups) == ITERS_PER_EPOCH * length - 3
    assert watch.groups == whole.groups[3:]
