"""The parts against what they promise, and the whole command with next to no training."""

import functools
import json
import math

import numpy as np
import pytest
import torch

from mmvidssl.apis import init_model
from mmvidssl.datasets import ClipIndex
from projects.maskfeat_learns import experiment, in_memory, run
from projects.maskfeat_learns.report import format_table, summarize
from projects.maskfeat_learns.synthetic_clips import CLASSES, MOTIONS, make_clips
from tests.utils_tool import run_tool

SIZES = dict(unlabelled=16, few=16, many=32, val=16, test=16)
TINY = [
    'max_iters=3',
    'finetuning.epochs=1',
    *(f'sizes.{name}={size}' for name, size in SIZES.items()),
]


@pytest.fixture
def one_penalty(monkeypatch):
    """Linear probes choose among one, in place of five: 16 of 18 seconds of an experiment."""
    select = functools.partial(experiment.select_linear_probe, penalties=(1.0,))
    monkeypatch.setattr(experiment, 'select_linear_probe', select)


def test_clips_are_balanced_and_reproducible():
    clips, labels = make_clips(32, np.random.default_rng(3))
    assert clips.shape == (32, 8, 32, 32, 3)
    assert clips.dtype == np.uint8
    assert np.array_equal(np.bincount(labels), [2] * len(CLASSES))
    again, same_labels = make_clips(32, np.random.default_rng(3))
    assert np.array_equal(clips, again)
    assert np.array_equal(labels, same_labels)
    assert not np.array_equal(clips, make_clips(32, np.random.default_rng(4))[0])


def test_motions_are_what_their_names_say():
    """Shapes are brighter than all else; area and centre of what is bright tell the motion."""
    clips, labels = make_clips(320, np.random.default_rng(0))
    bright = clips.min(axis=-1) > 160
    area = bright.sum(axis=(2, 3))
    growth = area[:, -1] / area[:, 0]
    y, x = np.mgrid[:32, :32]
    centre = np.stack([(bright * axis).sum((2, 3)) / area for axis in (y, x)], -1)
    path = np.linalg.norm(centre[:, -1] - centre[:, 0], axis=-1)
    names = np.array([MOTIONS[label % len(MOTIONS)] for label in labels])
    assert (growth[names == 'grow'] > 1.4).all()
    assert (growth[names == 'shrink'] < 0.7).all()
    assert (path[names == 'slide'] > 4).mean() > 0.9
    assert (path[names == 'spin'] < 4).all()
    steady = np.isin(names, ('slide', 'spin'))
    assert (abs(np.log(growth[steady])) < 0.3).mean() > 0.9


def test_synthetic_splits():
    splits = in_memory.split_synthetic(0, SIZES)
    assert len(splits.unlabelled) == 16
    assert splits.num_classes == 16
    drawn = [splits.unlabelled, splits.many.clips, splits.val.clips, splits.test.clips]
    flat = np.concatenate(drawn).reshape(16 + 32 + 16 + 16, -1)
    assert len(np.unique(flat, axis=0)) == len(flat)
    assert torch.equal(splits.few.labels, torch.arange(16))
    assert not np.array_equal(in_memory.split_synthetic(1, SIZES).test.clips, splits.test.clips)


@pytest.fixture
def pictures(tmp_path):
    """60 pictures, each of one grey level that tells which it is."""
    path = tmp_path / 'pictures.npz'
    images = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 8, 8, 3))
    np.savez(path, images=images, labels=np.arange(60) % 3)
    return path


def test_picture_splits(pictures):
    splits = in_memory.split_pictures(pictures, 0, dict(few=6, val=10, test=20))
    parts = {name: getattr(splits, name) for name in ('few', 'many', 'val', 'test')}
    seen = {name: part.clips[:, 0, 0, 0, 0] for name, part in parts.items()}
    assert sorted(np.concatenate([seen['many'], seen['val'], seen['test']])) == list(range(60))
    assert set(seen['few']) < set(seen['many'])
    assert np.array_equal(splits.unlabelled, splits.many.clips)
    for name, part in parts.items():
        assert np.array_equal(part.labels, seen[name] % 3)
        assert part.clips.shape[1:] == (1, 8, 8, 3)
    assert np.array_equal(np.bincount(splits.few.labels), [2, 2, 2])


@pytest.mark.parametrize(
    ('arrays', 'sizes', 'message'),
    [
        (dict(images=np.zeros((4, 8, 8, 3), np.uint8)), {}, 'arrays images and labels'),
        (dict(images=np.zeros((4, 8, 8, 3)), labels=np.zeros(4)), {}, 'must be uint8'),
        (dict(images=np.zeros((4, 8, 8), np.uint8), labels=np.zeros(4)), {}, 'must be uint8'),
        (dict(images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.zeros(3)), {}, 'a label for each'),
        (
            dict(images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.zeros(4)),
            dict(test=3),
            'at least 5',
        ),
    ],
)
def test_refuses_pictures(tmp_path, arrays, sizes, message):
    np.savez(tmp_path / 'bad.npz', **arrays)
    with pytest.raises(ValueError, match=message) as error:
        in_memory.split_pictures(tmp_path / 'bad.npz', 0, dict(few=1, val=1, test=1) | sizes)
    assert 'bad.npz' in str(error.value)


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.npz'):
        in_memory.split_pictures(tmp_path / 'none.npz', 0, SIZES)


def test_refuses_classes_with_too_few_samples():
    with pytest.raises(ValueError, match='scarcest class has 1'):
        in_memory.choose_balanced(torch.tensor([0, 0, 1]), 4, 2)


def test_table():
    runs = [
        {'loss/model': 0.1, 'fine-tuning/random': 0.25, 'fine-tuning/random, lr': 1e-3},
        {'loss/model': 0.3, 'fine-tuning/random': 0.5, 'fine-tuning/random, lr': 3e-3},
    ]
    mean, spread = summarize(runs)['loss/model']
    assert (mean, spread) == (pytest.approx(0.2), pytest.approx(0.1 * math.sqrt(2)))
    table = format_table(runs, dict(few=7, many=9))
    (loss,) = (line for line in table.splitlines() if line.startswith('  model'))
    assert loss.split() == ['model', '0.1000', '0.3000', 'mean', '0.2000', '+-', '0.1414']
    assert 'fine-tuning all weights, 7 labels' in table
    (rate,) = (line for line in table.splitlines() if line.startswith('  random, lr'))
    assert rate.split() == ['random,', 'lr', '0.001', '0.003']
    assert summarize(runs[:1])['loss/model'] == (0.1, 0.0)


def test_options_change_the_config():
    cfg = run.load_config(False, {'max_iters': 100, 'grid.lr': (1.0,), 'sizes.few': 32})
    assert cfg.train_cfg.max_iters == 100
    assert cfg.param_scheduler[1].end == cfg.param_scheduler[1].T_max + cfg.param_scheduler[1].begin
    assert cfg.param_scheduler[1].end == 100
    assert cfg.grid.lr == (1.0,)
    assert cfg.sizes.few == 32
    assert run.load_config(True, {}).model.backbone.temporal_size == 1


def test_losses_are_means_over_masked_tokens_of_test_clips():
    """One clip at a time, with the masks that the data set gives."""
    cfg = run.load_config(False, {})
    splits = in_memory.split_synthetic(0, SIZES)
    torch.manual_seed(0)
    model = init_model(cfg)
    numbers = experiment.compare_losses(model, cfg, splits, seed=5)
    pipeline = [*cfg.train_pipeline[1:]]
    dataset = in_memory.ClipsInMemory(splits.test.clips, pipeline, seed=5)
    mean = torch.cat([target_of(model, clip) for clip in splits.unlabelled]).mean(0)
    errors, constant_errors = [], []
    for i, clip in enumerate(splits.test.clips):
        mask = dataset[ClipIndex(i, 0)]['data_samples'].mask
        inputs = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 64 - 2
        pred = model.predict(inputs, mask[None]).tokens[0]
        for token in mask.flatten().nonzero().flatten():  # the window is the token grid
            target = target_of(model, clip)[token]
            errors.append((pred[token] - target).square().mean())
            constant_errors.append((mean - target).square().mean())
    assert len(errors) == 16 * 26
    assert numbers['loss/model'] == pytest.approx(torch.stack(errors).mean().item(), rel=1e-4)
    constant = torch.stack(constant_errors).mean().item()
    assert numbers['loss/mean target'] == pytest.approx(constant, rel=1e-4)


def target_of(model, clip):
    """Targets ``(N, Q)`` of one clip ``(T, H, W, 3)``."""
    return model.target_generator(torch.from_numpy(clip).permute(3, 0, 1, 2)[None] / 64 - 2)[0]


def test_pretraining_starts_from_the_weights_it_is_given(tmp_path, one_penalty):
    """With no learning rate it gives them back; both ways of fine-tuning then do the same."""
    options = {'max_iters': 2, 'optim_wrapper.optimizer.lr': 0.0, 'finetuning.epochs': 1}
    cfg = run.load_config(False, options | {'grid.lr': (1e-3,)})
    splits = in_memory.split_synthetic(0, SIZES)
    numbers = experiment.run_seed(cfg, splits, 0, tmp_path)
    for name in ('probe, few labels', 'probe, many labels', 'fine-tuning'):
        assert numbers[f'{name}/pretrained'] == numbers[f'{name}/random']


def command(*args):
    """The command line, in this process."""
    threads = torch.get_num_threads()
    try:
        return run_tool('benchmarks/maskfeat_learns', '--threads', threads, *args)
    finally:
        torch.set_num_threads(threads)


def test_command_on_synthetic_clips(tmp_path, capsys, one_penalty):
    assert command('--seeds', 0, '--work-dir', tmp_path, '--cfg-options', *TINY) == 0
    assert 'SYNTHETIC' in capsys.readouterr().out
    (numbers,) = json.loads((tmp_path / 'numbers.json').read_text())
    assert numbers['loss/model'] > numbers['loss/mean target'] > 0.03  # three steps teach little
    for name in ('probe, few labels', 'probe, many labels', 'fine-tuning'):
        for start in ('pretrained', 'random'):
            assert 0 <= numbers[f'{name}/{start}'] <= 1


def test_command_on_pictures(tmp_path, capsys, one_penalty):
    rng = np.random.default_rng(0)
    path = tmp_path / 'pictures.npz'
    images = rng.integers(0, 256, (80, 32, 32, 3), np.uint8)
    np.savez(path, images=images, labels=np.arange(80) % 2)
    options = [option for option in TINY if not option.startswith(('sizes.unl', 'sizes.many'))]
    options += ['batch_size=8', 'grid.lr=(1e-3,)']
    arguments = ('--images', path, '--seeds', 0, 1, '--work-dir', tmp_path)
    assert command(*arguments, '--cfg-options', *options) == 0
    assert len(json.loads((tmp_path / 'numbers.json').read_text())) == 2
    assert capsys.readouterr().out.count(' +- ') > 8


def test_command_says_what_is_missing(tmp_path, capsys):
    assert command('--images', tmp_path / 'none.npz') == 2
    assert 'no such file of pictures' in capsys.readouterr().err
