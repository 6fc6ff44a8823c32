import json
import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from mmvidssl.datasets import ClipIndex, broken_samples
from mmvidssl.engine.hooks import BrokenDataError, DataFailureHook
from mmvidssl.structures import VidSSLDataSample
from tests.utils_run import tiny_cfg, train
from tests.utils_video import write_video


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """What may pass does not pass here."""
    monkeypatch.setattr(broken_samples, 'RETRY_PAUSE', 0.0)


def failure(path='a.mp4', reason='bad', replaced=True, quarantined=False):
    return dict(path=path, reason=reason, replaced=replaced, quarantined=quarantined)


def batch(*failures, good=0):
    """A sample for each list of failures, and ``good`` ones."""
    samples = [VidSSLDataSample(metainfo=dict(decode_failures=list(f))) for f in failures]
    return dict(inputs={}, data_samples=samples + [VidSSLDataSample() for _ in range(good)])


@pytest.fixture
def lines():
    """What is logged."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(record.getMessage())

    logger, handler = MMLogger.get_current_instance(), Handler()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def fake_runner(work_dir):
    return SimpleNamespace(
        work_dir=str(work_dir), epoch=0, iter=0, logger=MMLogger.get_current_instance()
    )


def run_epoch(hook, runner, batches):
    hook.before_train_epoch(runner)
    for i, data_batch in enumerate(batches):
        hook.after_train_iter(runner, i, data_batch)
        runner.iter += 1
    hook.after_train_epoch(runner)
    runner.epoch += 1


def report_of(folder):
    return json.loads((Path(folder) / 'broken_videos.json').read_text())


def test_counts_and_report(tmp_path, lines):
    hook, runner = DataFailureHook(), fake_runner(tmp_path)
    hook.before_train(runner)
    run_epoch(hook, runner, [batch(good=1000)] * 2)
    assert lines == ['epoch 1: 0 of 2,000 samples replaced']
    assert report_of(tmp_path) == dict(num_samples=2000, num_replaced=0, videos=[])
    first = batch([failure('a.mp4')], [failure('b.mp4', replaced=False)], good=8)
    both = batch([failure('c.mp4'), failure('a.mp4', 'worse', quarantined=True)], good=9)
    run_epoch(hook, runner, [first, both])
    assert lines[1].startswith('epoch 2: 2 of 20 samples replaced')
    assert 'broken_videos.json' in lines[1]
    assert report_of(tmp_path) == dict(
        num_samples=2020,
        num_replaced=2,
        videos=[
            dict(path='a.mp4', reason='worse', times=2, quarantined=True),
            dict(path='b.mp4', reason='bad', times=1, quarantined=False),
            dict(path='c.mp4', reason='bad', times=1, quarantined=False),
        ],
    )
    assert os.listdir(tmp_path) == ['broken_videos.json']


def test_written_soon_after_a_failure(tmp_path):
    hook, runner = DataFailureHook(), fake_runner(tmp_path)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    batches = [batch(good=1)] * 25 + [batch([failure()])] + [batch(good=1)] * 14
    for i, data_batch in enumerate(batches):
        hook.after_train_iter(runner, i, data_batch)
        assert (tmp_path / 'broken_videos.json').is_file() == (i == 39)
    assert report_of(tmp_path)['num_samples'] == 40


def test_batches_of_other_data_sets_are_left_alone(tmp_path, lines):
    hook, runner = DataFailureHook(), fake_runner(tmp_path)
    hook.before_train(runner)
    others = [None, [1, 2], dict(inputs=torch.zeros(2)), dict(data_samples=[object(), object()])]
    run_epoch(hook, runner, others)
    assert lines == ['epoch 1: 0 of 2 samples replaced']


def test_too_many_failures_stop_the_run_with_a_list(tmp_path, lines):
    hook, runner = DataFailureHook(max_failed_share=0.05, min_failed=10), fake_runner(tmp_path)
    hook.before_train(runner)
    bad = [batch([failure(f'{i}.mp4', f'bad {i}')], good=3) for i in range(100)]
    with pytest.raises(BrokenDataError) as caught:
        run_epoch(hook, runner, bad)
    message = str(caught.value)
    assert '20 of the 80 samples since the epoch began' in message and '0.05' in message
    assert '0.mp4 (1 times): bad 0' in message and 'and 10 more' in message
    assert lines == [message]
    assert len(report_of(tmp_path)['videos']) == 20


def test_a_report_that_cannot_be_written_ends_nothing(tmp_path, lines):
    (tmp_path / 'broken_videos.json').mkdir()  # in its way
    runner = fake_runner(tmp_path)
    hook = DataFailureHook()
    hook.before_train(runner)
    run_epoch(hook, runner, [batch([failure()], good=30)])
    hook.after_train_epoch(runner)
    assert any('was not written' in line for line in lines)


def test_few_failures_do_not_stop_the_run(tmp_path):
    hook, runner = DataFailureHook(max_failed_share=0.05, min_failed=10), fake_runner(tmp_path)
    hook.before_train(runner)
    run_epoch(hook, runner, [batch(*[[failure()]] * 9)] + [batch()] * 30)  # all of them, but few
    run_epoch(hook, runner, [batch([failure()], good=19)] * 100)  # many, but 5 %
    with pytest.raises(BrokenDataError, match='2 of the 2 samples'):
        hook.min_failed = 2
        run_epoch(hook, runner, [batch([failure()])] * 2)


def test_impossible_options():
    for kwargs in (dict(max_failed_share=2), dict(min_failed=0)):
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            DataFailureHook(**kwargs)
    with pytest.raises(TypeError, match='interval.*20 iterations'):
        DataFailureHook(interval=1000)


class DeleteVideo(Hook):
    """Deletes a video before the second epoch reads anything."""

    def __init__(self, path):
        self.path = path

    def before_train_epoch(self, runner):
        if runner.epoch == 1:
            self.path.unlink()


def run_with_deleted_video(video, tmp_path, **options):
    other = write_video(tmp_path / 'other.mp4', num_frames=30)
    cfg = tiny_cfg(video, tmp_path / 'run', **options)
    cfg.train_dataloader.dataset.videos.append(str(other))
    cfg.train_dataloader.update(num_workers=2, persistent_workers=True)
    return train(cfg, DeleteVideo(other)), other


def test_a_run_whose_video_vanishes_finishes_with_the_right_counts(video, tmp_path):
    runner, other = run_with_deleted_video(
        video, tmp_path, default_hooks__data_failure__max_failed_share=1.0
    )
    assert runner.epoch == 2
    loader = runner.train_dataloader
    loader.sampler.set_epoch(1)
    index_of_other = loader.dataset.video_ends()[0]
    num_lost = sum(isinstance(i, ClipIndex) and i.index >= index_of_other for i in loader.sampler)
    assert num_lost > 0
    log = next((tmp_path / 'run').rglob('*.log')).read_text()
    found = re.findall(r'epoch (\d): (\d+) of (\d+) samples replaced', log)
    assert found == [('1', '0', '8'), ('2', str(num_lost), '8')]
    report = report_of(tmp_path / 'run')
    (broken,) = report['videos']
    assert (report['num_samples'], report['num_replaced']) == (16, num_lost)
    assert broken['path'] == str(other)
    # A retry for each, and one draw that met the same video; seeds and workers are fixed.
    assert num_lost <= broken['times'] <= 2 * num_lost + 1
    assert broken['reason'].startswith('VideoNotFoundError')


def test_a_run_that_loses_too_much_ends(video, tmp_path):
    with pytest.raises(BrokenDataError, match='VideoNotFoundError'):
        run_with_deleted_video(video, tmp_path, default_hooks__data_failure__min_failed=1)
    assert report_of(tmp_path / 'run')['num_replaced'] > 0


def _reduce_and_stop(rank, init_file, work_dir):
    torch.distributed.init_process_group('gloo', f'file://{init_file}', rank=rank, world_size=2)
    hook, runner = DataFailureHook(min_failed=10), fake_runner(work_dir)
    hook.before_train(runner)
    mine = batch([failure(f'{rank}.mp4')], [failure('both.mp4')]) if rank else batch(good=2)
    run_epoch(hook, runner, [batch([failure('both.mp4')], good=1), batch(good=100)])
    with pytest.raises(BrokenDataError, match='20 of the 80 samples'):
        run_epoch(hook, runner, [mine] * 10 + [batch(good=2)] * 10)
    torch.distributed.destroy_process_group()


def test_processes_count_and_stop_together(tmp_path):
    mp.spawn(_reduce_and_stop, (str(tmp_path / 'init'), str(tmp_path)), nprocs=2)
    report = report_of(tmp_path)
    assert (report['num_samples'], report['num_replaced']) == (204 + 80, 22)
    assert [(v['path'], v['times']) for v in report['videos']] == [('both.mp4', 12), ('1.mp4', 10)]
