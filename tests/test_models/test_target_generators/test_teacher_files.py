"""Files that are not the teacher's end a run of the shipped configs before it begins."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmvidssl.engine import fit_to_device
from mmvidssl.registry import MODELS
from tests.utils_video import write_video

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / 'configs').rglob('*.py'))


def teacher_of(config):
    """The config of a target generator's own model with a checkpoint, if it has one."""
    generator = Config.fromfile(config).get('model', {}).get('target_generator', {})
    return next((k for k, v in generator.items() if isinstance(v, dict) and 'init_cfg' in v), None)


WITH_TEACHER = [
    path
    for path in CONFIGS
    if 'ablation' in path.parts and 'k400' in path.name and teacher_of(path)
]


@pytest.fixture(scope='module')
def resnet18(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'resnet18.pth'
    model = MODELS.build(dict(type='mmpretrain.ResNet', depth=18))
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def test_there_are_teachers():
    assert [path.name.split('_')[0] for path in WITH_TEACHER] == [
        'maskfeat-codes',
        'maskfeat-features',
        'maskfeat-labels',
    ]


@pytest.mark.parametrize('path', WITH_TEACHER, ids=lambda path: path.name.split('_')[0])
def test_another_models_file_is_refused(path, resnet18, tmp_path):
    cfg = Config.fromfile(path)
    (tmp_path / 'videos').mkdir()
    write_video(tmp_path / 'videos' / 'video.mp4')
    data = dict(data_root=str(tmp_path / 'videos'), ann_file='', data_prefix=dict(video=''))
    cfg.train_dataloader.dataset.update(data)
    cfg.train_dataloader.update(batch_size=1, num_workers=0, persistent_workers=False)
    cfg.train_cfg.max_epochs = 1
    fit_to_device(cfg.optim_wrapper, 'cpu')
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'work'), path.stem
    teacher = cfg.model.target_generator[teacher_of(path)]
    teacher.init_cfg = dict(type='Pretrained', checkpoint=str(resnet18))
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match='resnet18.pth does not cover') as caught:
        runner.train()
    assert 'model.target_generator.teacher.init_cfg' in str(caught.value)
    assert runner.iter == 0


def test_a_file_that_nobody_compares_is_refused():
    teacher = dict(type='mmaction.ResNet', depth=18, pretrained='frames.pth')
    with pytest.raises(ValueError, match="init_cfg=.*checkpoint='frames.pth'"):
        MODELS.build(dict(type='mmvidssl.DeepFeatureGenerator', teacher=teacher))
