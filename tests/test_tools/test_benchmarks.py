"""The benchmarks run as their help says, on next to nothing."""

import argparse
import importlib
import json
import math
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from mmvidssl.datasets.readers import PyAVReader
from mmvidssl.registry import VIDEO_READERS
from tests.utils_run import tiny_cfg
from tests.utils_tool import run_tool
from tests.utils_video import write_video

TOOLS = Path(__file__).parents[2] / 'tools/benchmarks'


@pytest.fixture
def run(capsys):
    """Runs one here; what it starts itself has processes of its own. Gives what it printed."""

    def run(name, *args):
        assert run_tool(f'benchmarks/{name}', *args) == 0
        return capsys.readouterr().out

    return run


def test_data(run, tmp_path):
    video = write_video(tmp_path / 'v.mp4', num_frames=120)
    cfg = tiny_cfg(video, tmp_path / 'work')
    cfg.train_dataloader.sampler.num_samples_per_epoch = 40
    cfg.dump(tmp_path / 'config.py')
    out = run(
        'data',
        tmp_path / 'config.py',
        *('--readers', 'PyAVReader', 'DecordReader'),
        *('--proxies', video, '--workers', 0, '--batches', 1, '--step-seconds', 'model'),
    )
    for name in ('PyAVReader', 'DecordReader', 'proxies'):
        assert re.search(rf'{name}, 0 worker\(s\): [\d.]+ clips/s, training waits \d+%', out), out
        assert re.search(rf'{name}: num_workers=\d+ would keep up', out), out


@pytest.mark.slow
def test_decoding(run, tmp_path):
    out = run(
        'decoding',
        *('--work-dir', tmp_path, '--height', 144, '--minutes', 0.35),
        *('--clips', 1, '--proxy-clips', 2, '--rounds', 1, '--workers', 1),
        *('--kinds', 'reopen', 'PyAVReader, guarded', 'proxy'),
    )
    assert len(re.findall(r's a clip .* times the clips of reopen', out)) == 3, out


@pytest.mark.slow
def test_reader_memory(run):
    """Flat: a clip that is kept, 0.14 MiB, would show, and so would an open video."""
    names = ('PyAVReader', 'DecordReader', 'ProxyReader')
    sizes = ('--clips', 250, '--videos', 5, '--size', 64, 96)
    out = run('reader_memory', *sizes, '--readers', *names, '--guarded')
    for name in names:
        figures = re.search(rf'{name}: 10: \d+ MiB, 100: (\d+) MiB, 250: (\d+) MiB', out)
        assert figures, out
        assert int(figures[2]) - int(figures[1]) < 12, out


class LateReader(PyAVReader):
    """Gives frame 8 in place of frame 7, where it is asked for alone."""

    def get_frames(self, indices=None, short_side=None, times=None):
        return super().get_frames(indices + 1 if indices.tolist() == [7] else indices)


@pytest.mark.skipif(not shutil.which('ffmpeg'), reason='needs the ffmpeg command line')
def test_compare_with_ffmpeg(tmp_path, monkeypatch, capsys):
    write_video(tmp_path / 'b_frames.mp4', num_b_frames=2)
    write_video(tmp_path / 'turned.mp4', num_frames=5, matrix=(0, -1, 1, 0))
    (tmp_path / 'notes.txt').write_text('no video')
    monkeypatch.syspath_prepend(TOOLS)
    monkeypatch.setitem(VIDEO_READERS._module_dict, 'LateReader', LateReader)
    main = importlib.import_module('compare_with_ffmpeg').main
    for name, outcome, of_turned in (
        ('PyAVReader', 'equal', 'equal'),
        ('DecordReader', 'equal', 'partly'),  # which refuses each frame
        ('LateReader', 'WRONG', 'equal'),
    ):
        monkeypatch.setattr(sys, 'argv', ['', str(tmp_path), '--reader', name])
        assert main() == (outcome == 'WRONG')
        found = re.findall(r'^(\w+) \S+/(\w+)\.', capsys.readouterr().out, re.M)
        assert found == [(outcome, 'b_frames'), ('refused', 'notes'), (of_turned, 'turned')]


def test_evaluation(tmp_path, monkeypatch):
    """Each kind in this process; on the command line each has one of its own."""
    monkeypatch.syspath_prepend(TOOLS)
    measure = importlib.import_module('evaluation').measure
    options = dict(patch_sizes=[16], size=[64, 96], frames=3, dims=8, forward=1)
    options['threads'] = torch.get_num_threads()
    for kind in ('ours', 'dense', 'products', 'forward'):
        found = measure(argparse.Namespace(kind=kind, save=tmp_path / kind, **options))
        assert found['wall'] > 0
    ours, dense = (torch.load(tmp_path / kind, weights_only=True) for kind in ('ours', 'dense'))
    torch.testing.assert_close(ours, dense)


def test_train_step(tmp_path, monkeypatch):
    """Each kind in this process, with the same losses."""
    monkeypatch.syspath_prepend(TOOLS)
    module = importlib.import_module('train_step')
    options = dict(arch='deit-tiny', frames=1, locals=1, prototypes=8, batch=1, steps=1)
    options |= dict(method='dora', peer=None, profile=False, threads=torch.get_num_threads())
    ((peer, kinds),) = module.kinds_by_peer(argparse.Namespace(**options)).items()
    expected, *others = (
        module.measure(argparse.Namespace(kind=kind, **options)) for kind in (peer, *kinds)
    )
    assert len(others) == 3
    for found in others:
        assert found['losses'] == pytest.approx(expected['losses'], abs=1e-4)
        assert 0 < found['share'] < 1


def test_hog(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    module = importlib.import_module('hog')
    targets = []
    for kind in ('ours', 'mmpretrain'):
        options = dict(frames=1, size=224, threads=[torch.get_num_threads()], gaussian_window=16)
        args = argparse.Namespace(kind=kind, save=tmp_path / kind, **options)
        assert module.measure_memory(args)['mib'] >= 0
        assert 0 < module.fastest(module.make_call(args, kind), 0.001) < 1
        targets.append(torch.load(tmp_path / kind, weights_only=True))
    torch.testing.assert_close(*targets, rtol=0, atol=2e-7)


def test_a_folder_that_is_no_checkout_of_slowfast(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    peer_step = importlib.import_module('peer_slowfast').peer_step
    with pytest.raises(SystemExit, match=re.escape(str(tmp_path))[-30:]):
        peer_step(argparse.Namespace(peer=str(tmp_path), kind='released'), None, None, None)


def test_scaling(run, tmp_path):
    run('scaling', '--quick', '--steps', 1, '--threads', torch.get_num_threads(), '--out', tmp_path)
    axes = json.loads((tmp_path / 'scaling.json').read_text())
    names = 'frames objects local_views size prototypes videos long_videos workers'
    assert set(axes) == set(names.split())
    for axis in axes.values():
        assert len(axis['x']) == len(axis['seconds']) == len(axis['mib']) == 2
        numbers = [*axis['seconds'], *axis['mib'], *axis['work']]
        assert all(math.isfinite(number) and number > 0 for number in numbers), axis
        assert all(map(math.isfinite, axis['exponents'].values()))
        assert axis['work'][0] < axis['work'][1]
    assert axes['frames']['work'][1] == pytest.approx(2 * axes['frames']['work'][0], rel=0.01)
    assert (tmp_path / 'scaling.png').stat().st_size > 1000


def test_attention_counts_as_work(monkeypatch):
    """Two products of 50 x 50 x 16 for each head; in the backward pass five, one of them again."""
    monkeypatch.syspath_prepend(TOOLS)
    attention = importlib.import_module('scaling').ATTENTION
    query = torch.randn(1, 2, 50, 16, requires_grad=True)
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        found = scaled_dot_product_attention(query, query, query)
        assert counter.get_total_flops() == 2 * 2 * 2 * 50 * 50 * 16
        found.sum().backward()
    assert counter.get_total_flops() == (2 + 5) * 2 * 2 * 50 * 50 * 16


@pytest.fixture
def loaders(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module('loaders')


@pytest.mark.parametrize('method', ['dora', 'maskfeat'])
def test_loaders(loaders, method, tmp_path, monkeypatch, capsys):
    """Each kind in this process; on the command line each has one of its own, on one core."""
    monkeypatch.setenv('MMVIDSSL_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(BaseTransform, '__call__', BaseTransform.__call__)  # --profile times it
    (tmp_path / method).mkdir()
    write_video(tmp_path / method / 'a.mp4', num_frames=120)
    options = ('--clips', 1, '--rounds', 1, '--need', 1e5, '--profile', '--work-dir', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['', method, *map(str, options)])

    def measure(*options):
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'argv', [*sys.argv, *options])
            args = loaders.parse_args()
        return loaders.measure(args, tmp_path / method / 'proxy')

    monkeypatch.setattr(loaders, 'call_again', measure)
    loaders.main()
    out, profile = capsys.readouterr()
    found = re.findall(rf'^{method}, (ours.*?): ([\d.]+) clips/s .*; (\d+) core', out, re.M)
    assert [kind for kind, *_ in found] == ['ours', 'ours, normalised']
    for _, rate, cores in found:
        assert int(cores) == pytest.approx(1e5 / float(rate), rel=0.01)
    shares = re.findall(r'^ours: +(\d+)% (\w+)', profile, re.MULTILINE)
    assert {'dora': 'DecodeClip', 'maskfeat': 'SampleClip'}[method] in [name for _, name in shares]
    assert sum(int(share) for share, _ in shares) <= 105


def test_what_a_checkout_lacks_is_named(loaders, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', list(sys.path))
    with pytest.raises(SystemExit, match="named 'WTDataloader'"):
        loaders.import_from(tmp_path, 'WTDataloader')
    (tmp_path / 'WTDataloader.py').write_text('import a_module_that_nobody_has')
    importlib.invalidate_caches()
    with pytest.raises(SystemExit, match='a_module_that_nobody_has'):
        loaders.import_from(tmp_path, 'WTDataloader')


def test_the_stand_in_for_torchvisions_decoder(loaders, tmp_path):
    """It tells times, and gives the frames of a range, shrunk, as PyAV's reader does."""
    path = write_video(tmp_path / 'v.mp4', num_frames=50, size=(64, 96))
    data = torch.from_numpy(np.fromfile(path, np.uint8))
    meta = loaders.probe_video(data)
    assert meta.video_fps == 10 and meta.video_duration == pytest.approx(5)
    times = tuple(round(seconds / meta.video_timebase) for seconds in (1.5, 3))
    frames, _ = loaders.read_video(data, times, 0)
    ours = PyAVReader(str(path)).get_frames(np.arange(15, 31))
    assert frames.shape == ours.shape
    assert np.abs(frames.numpy().astype(int) - ours).mean() < 3
    small, _ = loaders.read_video(data, (0, -1), 32)
    assert small.shape == (50, 32, 48, 3)
