"""What the loops do at their borders, refuse, and make of a run that was set up otherwise."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop

from mmvidssl.engine.loops.data_fingerprint import describe_differences
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


def run(video, work_dir, loop='ResumableEpochTrainLoop', watch=None, interval=3, **options):
    cfg = tiny_cfg(video, work_dir, **options)
    length = dict(max_epochs=NUM_EPOCHS) if 'Epoch' in loop else dict(max_iters=NUM_ITERS - 1)
    cfg.train_cfg = dict(type=loop, **length)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=interval, max_keep_ckpts=-1)
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
    assert [path.name for path in tmp_path.glob('*.pth')] == ['interim.pth']


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
    assert 'batches of 2 (4 iterations' in message
    assert f'sample 6 of epoch 0 (from 0), which is its iteration {first}' in message


def test_refuses_a_data_set_of_another_length(video, tmp_path, stopped):
    options = dict(resume=True, load_from=stopped[0], train_dataloader__dataset__clip_len=3)
    with pytest.raises(ValueError, match='28 samples.* 26'):
        run(video, tmp_path, **options)


@pytest.fixture
def renamed(video, tmp_path):
    """The same footage under another name."""
    return shutil.copy(video, tmp_path / 'other.mp4')


def test_refuses_another_video_of_the_same_length(tmp_path, stopped, renamed):
    with pytest.raises(ValueError, match=r"videos was .*'other\.mp4'"):
        run(renamed, tmp_path, resume=True, load_from=stopped[0])


@pytest.mark.parametrize(
    'options, message',
    [
        (
            dict(dataset__interval_unit='seconds', dataset__frame_interval=0.2),
            'clip_timing was.* is 0.2',
        ),
        (dict(sampler__shuffle=False), 'shuffle was True, is False'),
        (dict(sampler__num_samples_per_epoch=7), 'per_epoch was 8, is 7'),
    ],
)
def test_refuses_other_samples(video, tmp_path, stopped, options, message):
    options = {f'train_dataloader__{key}': value for key, value in options.items()}
    with pytest.raises(ValueError, match=message):
        run(video, tmp_path, resume=True, load_from=stopped[0], **options)


def test_videos_may_move(video, tmp_path, stopped):
    moved = tmp_path / 'moved' / video.name
    moved.parent.mkdir()
    shutil.copy(video, moved)
    watch = Watch()
    run(moved, tmp_path / 'new', watch=watch, resume=True, load_from=stopped[0])
    assert watch.clips == stopped[1].clips[6:]


def of_earlier_version(path, target, clips_per_seek=1, shuffle=True, is_next=False):
    """A checkpoint as one wrote it that shuffled otherwise, or took groups of clips."""
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint['train_loop']
    del state['fingerprint']['order_kind']
    state['fingerprint'].update(shuffle=shuffle, clips_per_seek=clips_per_seek, clip_spacing=None)
    if clips_per_seek > 1:
        state['dataset_len'] //= clips_per_seek
        state['fingerprint']['num_samples_per_epoch'] //= clips_per_seek
        state['num_samples'] //= clips_per_seek
        state['batch_size'] //= clips_per_seek
    if is_next:
        state.update(epoch=state['epoch'] + 1, num_samples=0)
    torch.save(checkpoint, target)
    return str(target)


@pytest.mark.parametrize('clips_per_seek', [1, 2])
def test_an_order_of_an_earlier_version_is_left(
    video, tmp_path, stopped, clips_per_seek, monkeypatch
):
    """In the middle of an epoch: refused, or on demand with all of the next one."""
    old = of_earlier_version(stopped[0], tmp_path / 'old.pth', clips_per_seek)
    with pytest.raises(ValueError, match='train_cfg.from_next_epoch=True'):
        run(video, tmp_path / 'refused', resume=True, load_from=old)
    run(video, tmp_path / 'weights', load_from=old)  # which start anew
    cfg = tiny_cfg(video, tmp_path / 'resumed', resume=True, load_from=old)
    length = dict(max_epochs=NUM_EPOCHS, from_next_epoch=True)
    cfg.train_cfg = dict(type='ResumableEpochTrainLoop', **length)
    watch, messages = Watch(), []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, message: messages.append(message))
    train(cfg, watch)
    assert watch.epochs == [1]
    assert watch.clips == stopped[1].clips[8:]
    assert watch.groups == stopped[1].groups[4:]  # schedules are those of the iteration
    assert any('epoch 0 (from 0) is left' in message for message in messages)


def test_no_epoch_is_left_to_go_on_with(video, tmp_path, stopped):
    old = of_earlier_version(stopped[0], tmp_path / 'old.pth')
    cfg = tiny_cfg(video, tmp_path / 'resumed', resume=True, load_from=old)
    cfg.train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=1, from_next_epoch=True)
    with pytest.raises(ValueError, match='max_epochs'):
        train(cfg, Watch())


def test_proxies_made_anew_are_those_of_earlier_versions():
    then, now = dict(videos=[['venice.frames', 9]]), dict(videos=[['venice.proxy.mp4', 9]])
    assert not describe_differences(then, now)
    (difference,) = describe_differences(then, dict(videos=[['rome.proxy.mp4', 9]]))
    assert 'venice' in difference


@pytest.mark.parametrize('clips_per_seek', [1, 2])
@pytest.mark.parametrize('is_next', [False, True])
def test_an_epoch_that_is_over_has_no_order(video, tmp_path, stopped, is_next, clips_per_seek):
    """Written by its last iteration, or after it."""
    run(video, tmp_path / 'whole', interval=ITERS_PER_EPOCH)
    old = of_earlier_version(
        tmp_path / 'whole/iter_4.pth', tmp_path / 'old.pth', clips_per_seek, is_next=is_next
    )
    watch = Watch()
    run(video, tmp_path, watch=watch, resume=True, load_from=old)
    assert watch.clips == stopped[1].clips[8:]
    assert watch.groups == stopped[1].groups[4:]


def test_an_order_that_was_not_shuffled_is_the_same(video, tmp_path, stopped):
    options = dict(train_dataloader__sampler__shuffle=False)
    whole, watch = Watch(), Watch()
    run(video, tmp_path / 'whole', watch=whole, **options)
    old = of_earlier_version(tmp_path / 'whole/iter_3.pth', tmp_path / 'old.pth', shuffle=False)
    run(video, tmp_path / 'resumed', watch=watch, resume=True, load_from=old, **options)
    assert watch.clips == whole.clips[6:]


def test_refuses_a_checkpoint_without_a_position(video, tmp_path, stopped):
    checkpoint = torch.load(stopped[0], weights_only=True)
    del checkpoint['train_loop']
    torch.save(checkpoint, tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='position in the data'):
        run(video, tmp_path, resume=True, load_from=str(tmp_path / 'old.pth'))


def test_refuses_a_sampler_that_cannot_start_in_the_middle(video, tmp_path):
    sampler = dict(type='DefaultSampler', shuffle=True)
    cfg = tiny_cfg(video, tmp_path)
    cfg.train_dataloader.sampler = sampler
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=2)
    with pytest.raises(TypeError, match='ClipSampler; got Default'):
        train(cfg)


def test_refuses_an_epoch_without_a_batch(video, tmp_path):
    options = dict(train_dataloader__batch_size=9, train_dataloader__drop_last=True)
    with pytest.raises(ValueError, match='8 samples.* batch_size=9'):
        run(video, tmp_path, **options)


def test_refuses_half_an_iteration(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path)
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=2.5)
    with pytest.raises(ValueError, match='max_iters.* 2.5'):
        train(cfg)


def of_another_kind(checkpoint):
    """As runs of MMEngine's two schedules, one after the other, have written it."""
    first, *others = checkpoint['param_schedulers']
    linear = {k: v for k, v in first.items() if k not in ('warmup', 'max_share', 'start_ratio')}
    checkpoint['param_schedulers'] = [dict(linear, end=ITERS_PER_EPOCH), first, *others]
    for name in ('pass_sum', 'num_passes'):  # of a step of several passes, which they did not have
        del checkpoint['state_dict'][f'target_generator.{name}']


@pytest.mark.parametrize(
    'options, edit',
    [
        ({}, of_another_kind),
        (dict(optim_wrapper__optimizer__lr=0.2), None),
        (dict(param_scheduler__0__eta_min=1e-3), None),
        ({}, None),
    ],
    ids=['old kind', 'another rate', 'another end', 'longer'],
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
