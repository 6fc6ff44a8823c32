"""Training that ends in time, and leaves its checkpoint."""

import time
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.logging import MMLogger

from mmvidssl.engine.hooks import TimeLimitHook
from tests.utils_run import ITERS_PER_EPOCH, NUM_EPOCHS, Recorder, tiny_cfg, train


def iter_cfg(video, work_dir, seconds, max_iters):
    cfg = tiny_cfg(video, work_dir)
    cfg.train_cfg = dict(type='ResumableIterTrainLoop', max_iters=max_iters)
    cfg.default_hooks.checkpoint = dict(
        type='PlainCheckpointHook', by_epoch=False, interval=max_iters
    )
    cfg.custom_hooks.append(dict(type='TimeLimitHook', seconds=seconds))
    return cfg


def test_time_up_ends_training_with_a_checkpoint(video, tmp_path):
    runner = train(iter_cfg(video, tmp_path, seconds=1e-6, max_iters=5))
    assert runner.iter == 1
    state = torch.load(tmp_path / 'iter_1.pth', weights_only=True)
    assert state['meta']['iter'] == 1
    assert not (tmp_path / 'interim.pth').exists()


@pytest.mark.parametrize('passes', [1, ITERS_PER_EPOCH], ids=['within an epoch', 'at its end'])
def test_time_up_between_checkpoints(video, tmp_path, passes):
    """Epochs are counted; the run goes on where it ended, as if it had not."""

    def run(folder, *hooks, **options):
        cfg = tiny_cfg(video, tmp_path / folder, default_hooks__checkpoint__interval=15, **options)
        cfg.optim_wrapper.accumulative_counts = passes
        cfg.custom_hooks.extend(hooks)
        return train(cfg)

    assert run('parts', dict(type='TimeLimitHook', seconds=1e-6)).iter == passes
    (path,) = (tmp_path / 'parts').glob('*.pth')
    assert path.name == 'interim.pth'
    assert torch.load(path, weights_only=True)['meta']['iter'] == passes
    for folder in ('whole', 'parts'):
        run(folder, resume=True)
    whole, parts = (
        torch.load(tmp_path / folder / 'epoch_2.pth', weights_only=True)
        for folder in ('whole', 'parts')
    )
    assert whole['meta']['iter'] == parts['meta']['iter'] == ITERS_PER_EPOCH * NUM_EPOCHS
    assert whole['param_schedulers'] == parts['param_schedulers']
    assert all(map(torch.equal, whole['state_dict'].values(), parts['state_dict'].values()))


def test_time_left_changes_nothing(video, tmp_path):
    cfg = iter_cfg(video, tmp_path, seconds=600, max_iters=2)
    assert train(cfg).iter == 2


def test_loops_that_count_epochs_are_refused(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path)
    cfg.train_cfg.type = 'EpochBasedTrainLoop'
    cfg.custom_hooks.append(dict(type='TimeLimitHook', seconds=1))
    with pytest.raises(ValueError, match='EpochBasedTrainLoop'):
        train(cfg)


def test_no_time_at_all_is_refused():
    with pytest.raises(ValueError, match='positive'):
        TimeLimitHook(0)


def test_an_accumulation_is_finished_first(video, tmp_path):
    cfg = iter_cfg(video, tmp_path, seconds=1e-6, max_iters=8)
    cfg.optim_wrapper.accumulative_counts = 3
    recorder = Recorder()
    runner = train(cfg, recorder)
    assert runner.iter == 3
    assert not torch.equal(recorder.rows[-1]['student'], recorder.start['student'])
    assert 'gradients' not in torch.load(tmp_path / 'iter_3.pth', weights_only=True)


def test_the_teachers_momentum_is_that_of_the_whole_run(video, tmp_path):
    momenta = []
    for seconds in (600, 1e-6):
        cfg = iter_cfg(video, tmp_path / str(seconds), seconds, max_iters=4)
        cfg.optim_wrapper.accumulative_counts = 2
        runner = train(cfg)
        history = runner.message_hub.get_scalar('train/teacher_momentum').data[0]
        momenta.append(history.tolist())
    assert momenta[1] == momenta[0][:1]


def end_of_run(rank, folder):
    """The iteration after which a process ends; time is up for the second one in the third."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2
    )
    hook = TimeLimitHook(seconds=600)
    loop = SimpleNamespace(stop_training=False, _max_iters=8)
    runner = SimpleNamespace(
        iter=0,
        max_iters=8,
        train_loop=loop,
        logger=MMLogger.get_instance('test'),
        optim_wrapper=SimpleNamespace(should_update=lambda: True),
    )
    hook.before_train(runner)
    while runner.iter < loop._max_iters and not loop.stop_training:
        if rank == 1 and runner.iter == 2:
            hook._deadline = time.monotonic() - 1
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
    (folder / f'rank{rank}').write_text(str(runner.iter))
    torch.distributed.destroy_process_group()  # without it gloo's threads may abort at exit


@pytest.mark.slow
def test_all_processes_end_at_the_same_iteration(tmp_path):
    mp.spawn(end_of_run, args=(tmp_path,), nprocs=2)
    assert [(tmp_path / f'rank{rank}').read_text() for rank in range(2)] == ['3', '3']
