"""Downstream configs by ``tools/train.py``, and by what ``mim train LIBRARY`` starts."""

import pickle
import socket
from importlib.util import find_spec
from pathlib import Path

import cv2
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


SHOWN = ('shown', 'vis_image')
# What to run a test with, and what is refused.
SHOW, DUMP = ('--show-dir', 'shown'), ('--dump', 'all.pkl')
TEST_OPTIONS: dict[str, tuple[tuple, list[tuple]]] = dict(
    mmdet=((*SHOW, '--out', 'all.pkl'), [('--tta',), ('--amp',)]),
    mmseg=((*SHOW, *DUMP, '--out', 'masks', '--tta', '--amp'), [('--dump', 'all.json')]),
    mmaction=(DUMP, [SHOW, ('--tta',), ('--amp',)]),
    mmpretrain=((*SHOW, '--out', 'all.pkl', '--amp'), [(*SHOW, '--tta')]),
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
    assert run_tool('train', 'ours.py', '--work-dir', 'ours', '--no-validate') == 0
    assert not list(Path('ours').glob('best*'))
    replaced = 'OptimWrapper' if library == 'mmdet' else 'mmvidssl.AutocastOptimWrapper'
    said = f'no GPU: {replaced} takes the place of mixed precision'
    assert said in capsys.readouterr().out
    for name in ('mim', 'ours'):
        (saved,) = (tmp_path / name).glob('[ei]*.pth')  # not the best one
        assert torch.load(saved, weights_only=True)['meta']['iter'] == 2
    _check_what_a_test_writes(library, str(saved), capsys)


def _check_what_a_test_writes(library: str, saved: str, capsys: pytest.CaptureFixture) -> None:
    """By options of ``tools/test.py``; images and masks have the names of the data set's."""
    options, refused = TEST_OPTIONS[library]
    assert run_tool('test', 'ours.py', saved, '--work-dir', 'tested', *options) == 0
    for option in refused:
        assert run_tool('test', 'ours.py', saved, '--work-dir', 'tested', *option) == 2
        assert option[0] in capsys.readouterr().err.splitlines()[-1]
    predictions = pickle.loads(Path('all.pkl').read_bytes())
    num_samples, num_classes = 2, dict(mmaction=400, mmpretrain=1000).get(library)
    assert len(predictions) == num_samples
    for prediction in predictions if num_classes else ():
        assert prediction['pred_score'].shape == (num_classes,)
    drawn = {path.name for path in Path().rglob('*.*g') if path.parent.name in SHOWN}
    assert len(drawn) == (0 if library == 'mmaction' else num_samples)
    if library == 'mmseg':  # in the numbers of the annotations, which begin with 1
        masks = sorted(Path('masks').glob('*.png'))
        assert [mask.stem for mask in masks] == [Path(p['img_path']).stem for p in predictions]
        for mask, prediction in zip(masks, predictions, strict=True):
            found = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
            assert (found - 1 == prediction['pred_sem_seg']['data'][0].numpy()).all()
    if library == 'mmdet':
        assert all(
            {'size', 'counts'} <= p['pred_instances']['masks'][0].keys() for p in predictions
        )


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
