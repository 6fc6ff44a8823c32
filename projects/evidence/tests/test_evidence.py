"""The command with next to no training, on data that are drawn here."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from filelock import FileLock
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from PIL import Image

from mmvidssl.registry import HOOKS, TRANSFORMS
from projects.evidence.experiment import CONFIGS, Experiment
from projects.evidence.protocols import DOWNSTREAM, PROTOCOLS, Data
from tests.utils_config import changes
from tests.utils_tool import run_tool
from tests.utils_video import write_video

SMALL = {
    'model.backbone.arch.embed_dims': 24,
    'model.backbone.arch.num_layers': 2,
    'model.backbone.arch.feedforward_channels': 48,
    'model.backbone.img_size': 32,
    'model.neck.in_channels': 24,
    'model.neck.hidden_channels': 16,
    'train_dataloader.batch_size': 2,
}
NO_DATA = Data(None, '', 48, None)
STEPS = dict(dino=3.0, dora=2.0)  # seconds; a tenth of a minute is 2 and 3 iterations


@pytest.fixture(autouse=True)
def scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)())
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A video; a sequence of DAVIS in which a square moves over noise; pictures of two colours."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    write_video(root / 'video.mp4')
    for step in range(4):
        image, mask = rng.integers(0, 120, (48, 80, 3), np.uint8), np.zeros((48, 80), np.uint8)
        square = slice(10, 30), slice(8 + 8 * step, 28 + 8 * step)
        image[square], mask[square] = 255, 255
        for kind, array in (('JPEGImages', image), ('Annotations', mask)):
            folder = root / kind / '480p/square'
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / f'{step:05}.{"jpg" if kind[0] == "J" else "png"}')
    (root / 'ImageSets/480p').mkdir(parents=True)
    (root / 'ImageSets/480p/val.txt').write_text('square\n')
    for split, number in (('train', 12), ('val', 3)):
        for colour in (0, 150):
            folder = root / 'pictures' / split / str(colour)
            folder.mkdir(parents=True)
            for i in range(number):
                pixels = rng.integers(colour, colour + 100, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')
    return root


def call(data, out, options):
    return run_tool(
        'benchmarks/evidence',
        *('--videos', data / 'video.mp4', '--pictures', data / 'pictures', '--out', out),
        *('--budget', 0.1, '--seeds', 0),
        *('--cfg-options', *(f'{key}={value}' for key, value in options.items())),
    )


def with_steps(out):
    out.mkdir()
    (out / 'steps.json').write_text(json.dumps(STEPS))
    return out


def weights_of(folder):
    """Of student and teacher, from the last checkpoint, or the start."""
    last = folder / 'last_checkpoint'
    file = last.read_text().strip() if last.exists() else folder / 'start.pth'
    state_dict = torch.load(file, weights_only=True)['state_dict']
    return {k: v for k, v in state_dict.items() if 'backbone.' in k or 'neck.' in k}


def are_equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_both_start_from_the_same_weights_and_a_second_call_does_nothing(data, tmp_path, capsys):
    """Without a learning rate they end there, too."""
    out = with_steps(tmp_path / 'out')
    options = SMALL | {'optim_wrapper.optimizer.lr': 0.0, 'param_scheduler.0.eta_min': 0.0}
    assert call(data, out, options) == 0
    folders = [out / 'seed0' / name for name in ('random_0min', 'dino_0.1min', 'dora_0.1min')]
    start, *trained = map(weights_of, folders)
    assert len(start) > 70
    assert are_equal(start, trained[0])
    assert are_equal(start, trained[1])
    details = [json.loads((f / 'knn/evaluation.json').read_text()) for f in folders]
    assert len({detail['weights_sha256'] for detail in details}) == 1

    rows = json.loads((out / 'evidence.json').read_text())
    assert [row['method'] for row in rows] == ['random', 'dino', 'dora']
    assert [row['budget'] for row in rows] == [0, 0.1, 0.1]
    assert len({row['values']['k-NN']['mean'] for row in rows}) == 1
    assert [row['values']['iterations']['mean'] for row in rows[1:]] == [2, 3]
    assert all(row['values']['minutes']['mean'] > 0 for row in rows[1:])
    assert (out / 'evidence.md').read_text().strip() in capsys.readouterr().out
    assert (out / 'evidence.png').stat().st_size > 10_000

    files = sorted(out.glob('seed0/*/*.json'))
    times = {file: file.stat().st_mtime_ns for file in files}
    lost = out / 'seed0/dora_0.1min/knn.json'
    lost.unlink()
    assert call(data, out, options) == 0
    assert [file for file in files if file.stat().st_mtime_ns != times[file]] == [lost]
    assert call(data, out, SMALL) == 2
    assert 'dino, dora differ' in capsys.readouterr().err


class StopAt(Hook):
    """Ends a run as a signal does."""

    priority = 'LOWEST'
    iteration = None
    done: list[int] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.done.append(runner.iter)
        if runner.iter + 1 == self.iteration:
            raise KeyboardInterrupt


def test_a_run_that_was_stopped_ends_as_one_that_was_not(data, tmp_path, monkeypatch):
    monkeypatch.setitem(HOOKS._module_dict, 'StopAt', StopAt)
    monkeypatch.setattr(StopAt, 'done', [])
    monkeypatch.setattr('projects.evidence.experiment.METHODS', ('dora',))
    weights = []
    for stop in (None, 2):
        out = with_steps(tmp_path / str(stop))
        experiment = Experiment([data / 'video.mp4'], NO_DATA, out, 1, SMALL)
        cfg = experiment.cfgs['dora']
        cfg.custom_hooks.append(dict(type='StopAt'))
        cfg.default_hooks.checkpoint.minutes = 0  # after each iteration
        if stop is not None:
            monkeypatch.setattr(StopAt, 'iteration', stop)
            with pytest.raises(KeyboardInterrupt):
                experiment.run([3], [0.1])
            assert (out / 'seed3/dora_0.1min/interim.pth').exists()
            monkeypatch.setattr(StopAt, 'iteration', None)
        experiment.run([3], [0.1])
        weights.append(weights_of(out / 'seed3/dora_0.1min'))
    assert StopAt.done == [*range(3), *range(2), 2]
    assert are_equal(*weights)
    assert not are_equal(weights[0], weights_of(out / 'seed3/random_0min'))


def test_what_another_process_does_is_left_to_it_until_it_ends(data, tmp_path):
    out = with_steps(tmp_path / 'out')
    experiment = Experiment([data / 'video.mp4'], NO_DATA, out, 1, SMALL)
    taken, free = (out / f'seed{seed}/random_0min' for seed in (0, 1))
    taken.mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        with FileLock(taken / '.lock'):
            done = pool.submit(experiment.run, [0, 1], [])
            while not (free / 'start.pth').exists() and not done.done():
                time.sleep(0.01)
            assert not (taken / 'start.pth').exists()
        done.result(timeout=60)
    assert (taken / 'start.pth').exists()


def test_protocols_on_davis(data, tmp_path):
    out = with_steps(tmp_path / 'out')
    davis = Data(str(data), 'ImageSets/480p/val.txt', 48, None)
    Experiment([data / 'video.mp4'], davis, out, 1, SMALL).run([0], [])
    found = json.loads((out / 'seed0/random_0min/davis.json').read_text())
    assert found['value'] == 100 * found['metrics']['davis/J&F']
    assert 0 < found['value'] < 100
    assert found['processor_seconds'] > 0
    found = json.loads((out / 'seed0/random_0min/corloc.json').read_text())
    assert found['value'] == found['metrics']['corloc/lost']


def test_protocols_are_those_of_the_configs_but_for_the_backbone_and_where_data_are():
    backbone = dict(arch='deit-small', img_size=224, patch_size=16)
    for name, protocol in PROTOCOLS.items():
        shipped = Config.fromfile(DOWNSTREAM / protocol.config)
        ours = protocol.build(Data('davis', 'list.txt', 480, 'pictures'), backbone)
        found = {key.rpartition('.')[2] for key in changes(shipped, ours)}
        others = dict(davis={'out_dir'}, knn={'k'}, corloc={'as_published', 'head'})[name]
        assert found <= {'num_workers', 'data_root', 'ann_file'} | others
    small = dict(backbone, patch_size=8)
    cfg = PROTOCOLS['davis'].build(Data('davis', 'list.txt', 240, None), small)
    assert cfg.test_dataloader.dataset.pipeline[0].divisor == 32
    shrink = PROTOCOLS['corloc'].build(Data('davis', 'list.txt', 240, None), small)
    shrink = TRANSFORMS.build(shrink.test_dataloader.dataset.pipeline[1])
    shrunk = shrink(dict(clip=np.zeros((1, 32, 48, 3), np.uint8), boxes=[[8, 2, 40, 30]]))
    assert shrunk['clip'].shape == (1, 16, 24, 3)
    assert shrunk['boxes'].tolist() == [[4, 1, 20, 15]]
    cfg = PROTOCOLS['davis'].build(Data('davis', 'list.txt', 240, None), backbone)
    assert cfg.test_evaluator[0].radius == 6
    assert cfg.test_dataloader.dataset.pipeline[0].divisor == 32
    cfg = PROTOCOLS['knn'].build(Data(None, '', 240, 'x'), dict(backbone, img_size=96))
    resize, crop = cfg.test_dataloader.dataset.datasets[0].pipeline[1:3]
    assert (resize.scale, crop.crop_size) == (110, 96)


def test_dino_differs_from_dora_by_its_method_alone():
    dino, dora = (Config.fromfile(CONFIGS / f'{name}.py') for name in ('dino', 'dora'))
    differing = {key for key in dino if dino[key] != dora.get(key)} | (dora.keys() - dino.keys())
    assert differing == {'model', 'train_dataloader', 'train_pipeline'}
    loaders = dino.train_dataloader, dora.train_dataloader
    frames = [loader.batch_size * loader.dataset.clip_len for loader in loaders]
    assert frames[0] == frames[1]
    crops = [dict(loader.dataset.pipeline[1]) for loader in loaders]
    assert [crop.pop('num_global_views') for crop in crops] == [2, 1]
    assert crops[0] == crops[1]
    for part in ('neck', 'target_generator', 'data_preprocessor'):
        assert dino.model[part] == dora.model[part]


def test_steps_are_measured_once(data, tmp_path, monkeypatch):
    monkeypatch.setattr('projects.evidence.experiment.ROUNDS', 1)
    monkeypatch.setattr('projects.evidence.experiment.METHODS', ('dino',))
    made = [Experiment([data / 'video.mp4'], NO_DATA, tmp_path, 1, SMALL) for _ in range(2)]
    assert 0 < made[0].step_seconds['dino'] < 5
    assert made[0].step_seconds == made[1].step_seconds


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [([], '--pictures'), (['--davis', 'x', '--budget', '0'], '--budget')],
)
def test_misuse(capsys, arguments, message):
    assert run_tool('benchmarks/evidence', *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
