"""Configs of frozen backbones, whose protocols ``tools/test.py`` runs."""

import copy
import json
import re

import cv2
import pytest
import torch
from mmengine.config import Config

from mmvidssl.models import FrozenEncoder
from mmvidssl.registry import DATASETS, LOOPS, METRICS, MODELS
from mmvidssl.utils import register_all_modules
from tests.test_downstream import utils
from tests.test_downstream.utils_action import shrink_clips
from tests.test_downstream.utils_dense import (
    CONFIGS,
    check_header,
    check_metafile,
    is_frozen,
    read_config,
)
from tests.utils_tool import run_tool
from tests.utils_video import draw_frame, write_video

PATHS = {path.stem: path for path in sorted(CONFIGS.glob('*/*.py')) if is_frozen(path)}
NAME = re.compile(r'[a-z0-9-]+_(vit|mvit)-small(-p16)?_(dora-wt|maskfeat-k400)-pre_[a-z0-9-]+')


@pytest.mark.parametrize('name', PATHS)
def test_configs_say_what_they_are(name):
    register_all_modules()
    assert NAME.fullmatch(name)
    check_header(PATHS[name])
    cfg = read_config(PATHS[name])
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert isinstance(model, FrozenEncoder)
    check_metafile(PATHS[name], model)
    assert ('MViT' if '_mvit-' in name else 'DINOViT') in cfg.model.backbone.type
    assert LOOPS.get(cfg.test_cfg.type).__name__ == 'ResumableTestLoop'
    assert DATASETS.get(cfg.test_dataloader.dataset.type) is not None
    assert not cfg.test_dataloader.sampler.shuffle
    for metric in cfg.test_evaluator:
        METRICS.build(metric)


def evaluate(name, checkpoint, root, tmp_path, monkeypatch, **backbone):
    """A narrow backbone on small data of one's own, from the command line."""
    monkeypatch.setenv('DATA_ROOT', str(root))
    cfg = Config.fromfile(PATHS[name])
    loader = copy.deepcopy(cfg.test_dataloader.to_dict())
    shrink_clips(loader)
    lines = [
        f'_base_ = {str(PATHS[name])!r}',  # MMEngine writes a whole config slowly
        f'model = dict(backbone={backbone!r})',
        f'test_dataloader = {dict(loader, num_workers=0, _delete_=True)!r}',
        'test_evaluator = [dict(type="KNNMetric", k=[1, 2]), dict(type="LinearProbeMetric")]',
    ]
    (tmp_path / 'own.py').write_text('\n'.join(lines))
    assert run_tool('test', tmp_path / 'own.py', checkpoint, '--work-dir', tmp_path) == 0
    return json.loads((tmp_path / 'evaluation.json').read_text())


def test_own_images(pretrained, monkeypatch, tmp_path):
    """Of classes that any features tell apart, by a published backbone."""
    for split, count in dict(train=5, val=2).items():
        for frame, name in enumerate(('dark', 'light')):
            for index in range(count):
                path = tmp_path / 'data' / split / name / f'{index}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), draw_frame(index, (80, 96)) // 8 + 200 * frame)
    name = 'probes_vit-small-p16_dora-wt-pre_own-data'
    given = name, pretrained.dora_published, tmp_path / 'data', tmp_path, monkeypatch
    sizes = dict(arch=dict(utils.NARROW_VIT, _delete_=True), img_size=64)
    found = evaluate(*given, **sizes)
    metrics = found['metrics']
    assert metrics.keys() == {f'knn/top1_k{k}' for k in (1, 2)} | {'linear/top1', 'linear/penalty'}
    assert metrics['linear/top1'] == metrics['knn/top1_k1'] == 100
    assert found['files'][str(tmp_path / 'data/val/light')] == 2
    (tmp_path / 'data/val/light').rename(tmp_path / 'data/val/lamp')
    with pytest.raises(ValueError, match='lamp'):
        evaluate(*given, **sizes)


def test_own_videos(pretrained, monkeypatch, tmp_path):
    for name in ('down', 'up'):
        for index in range(3):
            (tmp_path / 'data' / name).mkdir(parents=True, exist_ok=True)
            write_video(tmp_path / 'data' / name / f'{index}.mp4', num_frames=20, size=(64, 96))
    root = tmp_path / 'data'
    assert run_tool('datasets/list_videos', root, root, '--val-share', 0.34) == 0
    name = 'probes_mvit-small_maskfeat-k400-pre_own-data'
    sizes = dict(arch=dict(utils.PRETRAINING_ARCH, _delete_=True), spatial_size=64, temporal_size=4)
    found = evaluate(name, pretrained.maskfeat, root, tmp_path, monkeypatch, **sizes)
    assert found['files'] == {str(root / name): 3 for name in ('down', 'up')}
    assert 0 <= found['metrics']['linear/top1'] <= 100
