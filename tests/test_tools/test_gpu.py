"""What tools/benchmarks/gpu.py says of a CPU, and of sections that fail, die or never end."""

import argparse
import importlib
import json
import math
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch.utils.flop_counter import FlopCounterMode

from tests.utils_tool import load_tool, run_tool

TOOLS = Path(__file__).parents[2] / 'tools/benchmarks'


def numbers_of(report):
    parts = report.values() if isinstance(report, dict) else report
    for part in parts:
        if isinstance(part, dict | list):
            yield from numbers_of(part)
        elif not isinstance(part, str):
            yield part


@pytest.mark.slow
def test_every_section_has_its_figures(tmp_path):
    out = tmp_path / 'new' / 'gpu.json'
    options = ('--device', 'cpu', '--small', '--backend', 'aot_eager', '--out', out)
    assert run_tool('benchmarks/gpu', *options) == 0
    report = json.loads(out.read_text())
    assert [*report] == [*load_tool('benchmarks/gpu').NAMES]
    assert all(map(math.isfinite, numbers_of(report)))
    for name in ('parity', 'precision', 'speed', 'data'):
        assert [config.split('_')[0] for config in report[name]] == ['dora', 'maskfeat']
    for one in report['parity'].values():
        assert one['loss'] > 0 and one['gradient_difference'] < 1e-4
    for one in report['precision'].values():
        assert 0 < one['bfloat16_difference'] < 0.1
    for one in report['speed'].values():
        assert one['bfloat16']['tflops'] > 0 and one['bfloat16']['batch_size'] == 2
    for one in report['data'].values():
        assert one['workers_for_bfloat16'] >= 1
    assert min(v for one in report['compile'].values() for v in one.values()) > 0
    for name in ('hog', 'masks', 'roi_align'):
        assert max(v for k, v in report[name].items() if 'milliseconds' not in k) < 1e-5


def test_sections_that_fail_die_or_never_end(tmp_path, monkeypatch):
    """Each is a text in its place, and those after it have a new process."""
    script = tmp_path / 'sections.py'
    script.write_text(
        'import json, os, sys, time\n'
        "for name in sys.argv[sys.argv.index('--sections') + 1:]:\n"
        "    if name == 'hog': os.kill(os.getpid(), 9)\n"
        "    if name == 'speed': time.sleep(60)\n"
        "    bad = name == 'parity'\n"
        "    print(json.dumps('no luck' if bad else dict(pid=os.getpid())), flush=True)\n"
        '    if bad: break\n'
    )
    monkeypatch.setattr(sys, 'argv', [str(script)])
    names = ['card', 'parity', 'precision', 'hog', 'masks', 'speed', 'data']
    args = argparse.Namespace(sections=names, minutes=0.1)
    found = dict(load_tool('benchmarks/gpu').results(args))
    assert [*found] == names
    assert found['parity'] == 'no luck'
    pids = [found[name]['pid'] for name in ('card', 'precision', 'masks')]
    assert len(set(pids)) == 3
    assert '-9' in found['hog'] and 'not done' in found['speed'] and 'not begun' in found['data']


@pytest.fixture
def sections(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module('gpu_sections')


def test_a_batch_is_halved_until_it_fits(sections):
    sizes = []

    def measure(cfg, room, size):
        sizes.append(size)
        if size > room:
            raise torch.OutOfMemoryError
        return dict(room=room)

    cfg = Config(dict(train_dataloader=dict(batch_size=16)))
    assert sections.halved(measure, cfg, 4) == dict(batch_size=4, room=4)
    assert sizes == [16, 8, 4]
    with pytest.raises(torch.OutOfMemoryError):
        sections.halved(measure, cfg, 0)
    assert sizes[-1] == 1


def test_gradients_of_grouped_convolutions_count_as_much_as_the_convolution(sections):
    clip, weight = torch.randn(2, 6, 4, 8, 8), torch.randn(6, 1, 3, 3, 3)
    backward = {torch.ops.aten.convolution_backward: sections.convolution_backward_flops}
    counts = []
    for leaves in ((), (weight,), (clip, weight)):
        with FlopCounterMode(display=False, custom_mapping=backward) as counter:
            out = F.conv3d(
                clip.requires_grad_(clip is leaves[0] if leaves else False),
                weight.requires_grad_(bool(leaves)),
                padding=1,
                groups=6,
            )
            if leaves:
                out.sum().backward()
        counts.append(counter.get_total_flops())
    one = 2 * 2 * 6 * 4 * 8 * 8 * 27
    assert counts == [one, 2 * one, 3 * one]
