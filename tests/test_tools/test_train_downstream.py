"""Downstream configs by ``tools/train.py``, and by what ``mim train LIBRARY`` starts."""

import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config

from tests.test_downstream import test_ade20k, test_coco, test_imagenet, utils
from tests.test_downstream.utils_action import shrink_recognizer, write_imagenet, write_videos
from tests.test_downstream.utils_dense import configs_of, write_coco, write_masks
from tests.utils_tool import run_tool

ROOT = Path(__file__).parents[2]


def shrunk_coco(root: Path) -> Config:
    parts = ('train', 'val')
    annotations = {part: f'annotations/instances_{part}2017.json' for part in parts}
    images = {part: f'{part}2017' for part in parts}
    write_coco(root / 'data', annotations, images, CocoDataset.METAINFO['classes'])
    name = next(name for name in test_coco.PATHS if name.startswith('mask-rcnn_vit-small'))
    name = name.replace('1xb4-amp-ms-12e_own-data', '8xb4-amp-ms-12e_coco')
    cfg = Config.fromfile(test_coco.PATHS[name])
    return test_coco.shrink(cfg, name, root / 'data', root / 'vit.pth', root / 'run')


def shrunk_ade20k(root: Path) -> Config:
    write_masks(root, 'images', 'annotations', test_ade20k.PARTS, num_classes=150, first=1)
    cfg = Config.fromfile(test_ade20k.PATHS[test_ade20k.LINEAR])
    return test_ade20k.shrink(cfg, root, root / 'vit.pth', root / 'run')


def shrunk_kinetics(root: Path, num_videos: int = 4) -> Config:
    data = root / 'data/kinetics400'
    write_videos(data / 'videos_train', data / 'kinetics400_train_list_videos.txt', num_videos)
    write_videos(data / 'videos_val', data / 'kinetics400_val_list_videos.txt', 2)
    path = next(path for name, path in configs_of('kinetics').items() if name.startswith('vit-s'))
    return shrink_recognizer(Config.fromfile(path), root / 'vit.pth', root / 'run')


def shrunk_imagenet(root: Path) -> Config:
    write_imagenet(root / 'data/imagenet')
    path = next(p for name, p in test_imagenet.PATHS.items() if test_imagenet.is_probe(name))
    return test_imagenet.shrink(Config.fromfile(path), root / 'vit.pth', root / 'run')


LIBRARIES = dict(
    mmdet=shrunk_coco, mmseg=shrunk_ade20k, mmaction=shrunk_kinetics, mmpretrain=shrunk_imagenet
)


def mim_train(library: str) -> list[str | Path]:
    """mim where it is installed; else the ``tools/train.py`` of a library, which mim starts."""
    if find_spec('mim') is not None:
        return ['mim', 'train', library, '--gpus', '0']
    spec = find_spec(library)
    assert spec is not None and spec.origin is not None
    return ['python', Path(spec.origin).parent / '.mim/tools/train.py']


@pytest.mark.slow
@pytest.mark.parametrize('library', LIBRARIES)
def test_trains_by_either_tool(library, shell, monkeypatch, capsys, tmp_path):
    utils.write_vit_checkpoint(tmp_path / 'vit.pth')
    cfg = LIBRARIES[library](tmp_path)
    assert cfg.default_scope == library
    cfg.dump(str(tmp_path / 'mim.py'))
    # What shrinking takes out, as MMEngine refuses it without a GPU: our tool replaces it.
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    cfg.dump(str(tmp_path / 'ours.py'))
    monkeypatch.chdir(tmp_path)
    run = shell(*mim_train(library), 'mim.py', '--work-dir', 'mim', cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    assert 'no GPU' not in run.stdout
    assert run_tool('train', 'ours.py', '--work-dir', 'ours') == 0
    replaced = 'OptimWrapper' if library == 'mmdet' else 'mmvidssl.AutocastOptimWrapper'
    said = f'no GPU: {replaced} takes the place of mixed precision'
    assert said in capsys.readouterr().out
    for name in ('mim', 'ours'):
        (saved,) = (tmp_path / name).glob('[ei]*.pth')  # not the best one
        assert torch.load(saved, weights_only=True)['meta']['iter'] == 2


@pytest.mark.slow
def test_trains_in_two_processes(shell, tmp_path):
    """As on two GPUs: no parameter is without gradient, both hooks check, one writes."""
    start = torch.load(utils.write_vit_checkpoint(tmp_path / 'vit.pth'), weights_only=True)
    cfg = shrunk_kinetics(tmp_path, num_videos=8)
    cfg.dump(str(tmp_path / 'small.py'))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    command = ['bash', ROOT / 'tools/dist_train.sh', tmp_path / 'small.py', 2]
    run = shell(*command, '--work-dir', tmp_path / 'run', cwd=tmp_path, PORT=port)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    (log,) = (tmp_path / 'run').glob('*/*.log')
    text = log.read_text()
    assert 'GPU number: 2' in text and 'Epoch(train) [1][2/2]' in text
    assert 'backbone: 150 of 150 tensors loaded from' in text
    (saved,) = (tmp_path / 'run').glob('epoch_*.pth')
    content = torch.load(saved, weights_only=True)
    assert content['meta']['iter'] == 2
    weights = {k: v for k, v in content['state_dict'].items() if k.startswith('backbone.')}
    assert not any(torch.equal(v, start['state_dict']['teacher.' + k]) for k, v in weights.items())
