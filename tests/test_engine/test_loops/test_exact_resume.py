"""A run of 20 iterations, and the same stopped after some of them and resumed: equal to the bit.

An epoch has 4 iterations, the optimizer steps at every other one, the student drops paths,
gradients are clipped by parameter and the last layer waits for an epoch.
"""

import pytest
import torch
from mmengine.hooks import Hook

from mmvidssl.datasets.transforms import DecodeClip
from tests.utils_run import ITERS_PER_EPOCH, tiny_cfg, train

NUM_ITERS = 20
LOOPS = dict(
    epoch=dict(type='ResumableEpochTrainLoop', max_epochs=NUM_ITERS // ITERS_PER_EPOCH),
    iter=dict(type='ResumableIterTrainLoop', max_iters=NUM_ITERS),
)
STOPS = [1, 7, 13]  # in the middle of an epoch and of an accumulation
SAVE_AT_STOPS = dict(interval=6, save_begin=1)


def cfg_of(video, work_dir, loop, num_workers=0, save=None, **options):
    cfg = tiny_cfg(
        video,
        work_dir,
        model__backbone__drop_path_rate=0.3,
        train_dataloader__num_workers=num_workers,
        train_dataloader__persistent_workers=num_workers > 0,
        default_hooks__logger__interval=10,
        optim_wrapper__type='PerParamClipOptimWrapper',
        optim_wrapper__accumulative_counts=2,
        **options,
    )
    # MMEngine formats the config anew, and slowly, for each checkpoint: save few.
    save = save or dict(interval=NUM_ITERS)
    cfg.default_hooks.checkpoint.update(by_epoch=False, max_keep_ckpts=-1, **save)
    cfg.train_cfg = LOOPS[loop]
    cfg.custom_hooks = [
        dict(type='TeacherMomentumHook', momentum=0.1),
        dict(type='TeacherTempHook', teacher_temp=0.06, warmup_epochs=3, max_share=1.0),
        dict(type='FreezeLastLayerHook', num_epochs=1, max_share=0.5),
    ]
    return cfg


def load(path):
    return torch.load(path, weights_only=True)


def find_differences(first, second, where=''):
    if type(first) is not type(second):
        return [f'{where}: {type(first)} and {type(second)}']
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [f'{where}: {first.keys() ^ second.keys()}']
        pairs = [(key, first[key], second[key]) for key in first]
    elif isinstance(first, (list, tuple)):
        pairs = [(index, *pair) for index, pair in enumerate(zip(first, second, strict=True))]
    else:
        same = torch.equal(first, second) if torch.is_tensor(first) else first == second
        return [] if same else [where]
    return [d for key, a, b in pairs for d in find_differences(a, b, f'{where}.{key}')]


def compare(first, second):
    assert {'target_generator.center', 'tracker.num_draws'} <= first['state_dict'].keys()
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'train_loop'):
        assert find_differences(first[key], second[key], key) == []
    histories = [checkpoint['message_hub']['log_scalars'] for checkpoint in (first, second)]
    for key in ('train/loss', 'train/teacher_momentum', 'train/lr', 'train/grad_norm'):
        assert find_differences(*(history[key] for history in histories), key) == []


class Decoded(Hook):
    """The clips that the training has seen."""

    def __init__(self):
        self.clips = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.clips.append([tuple(s.frame_inds) for s in data_batch['data_samples']])


@pytest.fixture(
    scope='module',
    params=[('epoch', 0), ('iter', 0), ('epoch', 2), ('iter', 2)],
    ids=lambda param: f'by {param[0]}, {param[1]} workers',
)
def whole(request, video, tmp_path_factory):
    """Options, work dir and clips of an uninterrupted run that saved where others shall stop."""
    loop, num_workers = request.param
    work_dir = tmp_path_factory.mktemp('whole')
    seen = Decoded()
    train(cfg_of(video, work_dir, loop, num_workers, save=SAVE_AT_STOPS), seen)
    return request.param, work_dir, seen.clips


def test_uninterrupted_run_is_what_it_should_be(whole):
    _, work_dir, clips = whole
    assert len(clips) == NUM_ITERS and len({clip for batch in clips for clip in batch}) > 8
    first, last = load(work_dir / 'iter_1.pth'), load(work_dir / f'iter_{NUM_ITERS}.pth')
    assert last['state_dict']['tracker.num_draws'] == NUM_ITERS // 2
    assert find_differences(first['state_dict'], last['state_dict'])
    assert 'gradients' in first and 'gradients' not in last


@pytest.mark.parametrize('stop', STOPS)
def test_resumed_equals_uninterrupted(whole, video, tmp_path, stop):
    options, work_dir, clips = whole
    cfg = cfg_of(video, tmp_path, *options)
    cfg.resume, cfg.load_from = True, str(work_dir / f'iter_{stop}.pth')
    seen = Decoded()
    runner = train(cfg, seen)
    assert (runner.iter, seen.clips) == (NUM_ITERS, clips[stop:])
    (log,) = tmp_path.rglob('*.log')
    assert 'gradient of some iterations is lost' not in log.read_text()
    compare(*(load(folder / f'iter_{NUM_ITERS}.pth') for folder in (work_dir, tmp_path)))


class Killed(Exception):
    pass


class KillHook(Hook):
    def __init__(self, stop):
        self.stop = stop

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.stop:
            raise Killed


def test_killed_several_times(video, tmp_path, monkeypatch):
    """Also at the end of an epoch (8); nothing of what was trained on is decoded again."""
    train(cfg_of(video, tmp_path / 'whole', 'epoch'))
    clips = Decoded()

    def part(**save):
        return cfg_of(video, tmp_path / 'parts', 'epoch', resume=True, save=save)

    for stop in (3, 8):
        with pytest.raises(Killed):
            train(part(interval=stop), clips, KillHook(stop))
    decoded = []
    monkeypatch.setattr(DecodeClip, 'transform', record_calls(DecodeClip.transform, decoded))
    train(part(interval=NUM_ITERS), clips)
    assert len(decoded) == 2 * (NUM_ITERS - 8)
    assert len(clips.clips) == NUM_ITERS
    compare(*(load(tmp_path / name / f'iter_{NUM_ITERS}.pth') for name in ('whole', 'parts')))


def record_calls(original, calls):
    def transform(self, results):
        calls.append(results['frame_inds'])
        return original(self, results)

    return transform


def whole_and_parts(video, tmp_path, edit=lambda checkpoint: None, **options):
    """Last checkpoints of a run, and of one that goes on from its 7th iteration."""
    whole, parts, start = tmp_path / 'whole', tmp_path / 'parts', tmp_path / 'start.pth'
    train(cfg_of(video, whole, 'iter', save=dict(interval=7), **options))
    checkpoint = load(whole / 'iter_7.pth')
    edit(checkpoint)
    torch.save(checkpoint, start)
    train(cfg_of(video, parts, 'iter', resume=True, load_from=str(start), **options))
    return [load(folder / f'iter_{NUM_ITERS}.pth') for folder in (whole, parts)]


def test_without_stored_gradients_the_run_would_differ(video, tmp_path):
    """The comparison above can fail."""
    first, second = whole_and_parts(video, tmp_path, lambda checkpoint: checkpoint.pop('gradients'))
    assert find_differences(first['state_dict'], second['state_dict'])


def test_seeds_of_the_first_run_are_kept(video, tmp_path):
    """Without a seed in the config each run draws its own; a resumed one takes the first's."""
    compare(*whole_and_parts(video, tmp_path, randomness=dict(seed=None)))
