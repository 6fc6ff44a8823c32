"""The five commands of the README, one after the other, on small videos."""

import re
import shlex
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, HOOKS, init_default_scope
from mmengine.runner import BaseLoop
from torch import nn

from mmvidssl.apis import list_videos
from mmvidssl.models.backbones import MViT
from mmvidssl.models.backbones.maskfeat_mvit import PRETRAINING_ARCHS
from tests.utils_tool import run_tool
from tests.utils_video import write_video

PROJECT = Path(__file__).parents[1]
ROOT = PROJECT.parents[1]

# A narrow MViTv2-S, clips of 4 frames of 64 pixels, one epoch, and no other process; the rest is as
# printed.
NARROW = dict(embed_dims=16, num_layers=6, num_heads=1)
PRETRAINED = dict(NARROW, downscale_indices=[1, 2], dim_mul_indices=[1, 2, 4])
FINE_TUNED = dict(NARROW, downscale_indices=[1, 2, 4])
HERE = ['num_workers=0', 'persistent_workers=False']
OPTIONS = {
    'configs/pretrain.py': [
        '--cfg-options',
        'model.neck.in_channels=128',
        'train_dataloader.batch_size=4',
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.pipeline.0.clip_len=4',
        'train_dataloader.dataset.pipeline.0.frame_interval=2',
        'train_dataloader.dataset.pipeline.1.size=64',
        'train_dataloader.dataset.pipeline.3.mask_window=(2,2,2)',
        'train_dataloader.dataset.pipeline.3.min_num_patches=1',
        'train_dataloader.dataset.pipeline.3.max_num_patches=4',
        *(f'train_dataloader.{option}' for option in HERE),
    ],
    'configs/finetune.py': [
        '--cfg-options',
        'model.cls_head.in_channels=128',
        'train_dataloader.batch_size=2',
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.pipeline.1.clip_len=4',
        'train_dataloader.dataset.pipeline.1.frame_interval=2',
        'train_dataloader.dataset.pipeline.3.scale=(-1,72)',
        'train_dataloader.dataset.pipeline.4.transforms.2.scale=(64,64)',
        *(
            option
            for part in ('val_dataloader', 'test_dataloader')
            for option in (
                f'{part}.dataset.pipeline.1.clip_len=4',
                f'{part}.dataset.pipeline.3.scale=(-1,72)',
                f'{part}.dataset.pipeline.4.crop_size=64',
            )
        ),
        'test_dataloader.dataset.pipeline.1.num_clips=2',
        *(f'{part}_dataloader.{option}' for part in ('train', 'val', 'test') for option in HERE),
        'model.backbone.init_cfg.checkpoint=work_dirs/pretrain/epoch_1.pth',
    ],
}


def commands():
    (block,) = re.findall(r'^```bash\n(.*?)^```', (PROJECT / 'README.md').read_text(), re.M | re.S)
    lines = block.splitlines()
    assert len(lines) == 5
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A checkout with videos in it."""
    folder = tmp_path_factory.mktemp('checkout')
    for part in ('tools', 'projects', 'configs'):
        (folder / part).symlink_to(ROOT / part)
    for name in ("it's a ride, on", 'wälk'):
        (folder / 'data/my_videos' / name).mkdir(parents=True)
        for number in range(3):
            video = folder / 'data/my_videos' / name / f'video {number}.mp4'
            write_video(video, num_frames=20 + number, size=(64, 96))
    return folder


def run(words):
    """One command, its numbers of epochs replaced by the one epoch that is run."""
    assert words[0] == 'python'
    words = [re.sub(r'epoch_\d+\.pth', 'epoch_1.pth', word) for word in words]
    options = [o for name, o in OPTIONS.items() if any(word.endswith(name) for word in words)]
    tool = str(Path(words[1]).relative_to('tools').with_suffix(''))
    assert run_tool(tool, *words[2:], *sum(options, [])) == 0


@pytest.mark.slow
def test_five_commands_lead_from_videos_to_a_tested_classifier(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setitem(PRETRAINING_ARCHS, 'small', PRETRAINED)
    monkeypatch.setitem(MViT.arch_zoo, 'small', FINE_TUNED)
    for words in commands():
        run(words)
    printed = capsys.readouterr().out
    assert '2 classes, 4 videos for training and 2 for validation' in printed
    assert 'explained:' in logged('pretrain')
    finetuned = logged('finetune')
    assert re.search(r'Epoch\(val\).*acc/top1', finetuned)
    assert re.search(r'Epoch\(test\).*acc/top1', finetuned)
    assert 'size mismatch' not in finetuned
    keys = ', '.join(
        re.findall(r'(?:missing|unexpected) keys? in source state_dict: (.+)', finetuned)
    )
    assert {key.split('.')[0] for key in keys.split(', ')} == {'norm2', 'norm3'}  # starts afresh
    (backbone,) = (folder / 'work_dirs').glob('backbone-*.pth')
    assert backbone.name in printed
    _check_that_the_classifier_began_with_the_backbone(folder, backbone)


def logged(run):
    return '\n'.join(path.read_text() for path in Path('work_dirs', run).glob('*/*.log'))


def _check_that_the_classifier_began_with_the_backbone(folder, backbone):
    """An epoch of warm-up moves weights by far less than their initial spread of 0.02."""
    state = torch.load(backbone, weights_only=True)['state_dict']
    trained = torch.load(folder / 'work_dirs/finetune/epoch_1.pth', weights_only=True)['state_dict']
    for name, weight in trained.items():
        if name.startswith('backbone.blocks') and name.endswith('qkv.weight'):
            torch.testing.assert_close(weight, state[name], atol=2e-3, rtol=0)


class Loop(BaseLoop):
    def __init__(self, dataset):
        self.dataloader = SimpleNamespace(dataset=dataset)

    def run(self):
        pass


class Head(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes


@pytest.mark.parametrize(
    'names, message',
    [
        ('ride walk', None),
        ('walk ride', '0 for .* ride/'),
    ],
)
def test_lists_that_do_not_fit_the_names(names, message, tmp_path, monkeypatch):
    """A ``classes.txt`` that was edited by hand."""
    for name in ('ride/0', 'ride/1', 'walk/0', 'walk/1'):
        file = tmp_path / f'data/my_videos/{name}.mp4'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    list_videos('data/my_videos', 'data/my_videos')
    Path('data/my_videos/classes.txt').write_text(names.replace(' ', '\n'))
    cfg = Config.fromfile(PROJECT / 'configs/finetune.py')
    assert [hook.type for hook in cfg.custom_hooks] == [
        'mmvidssl.PretrainedReportHook',
        'mmvidssl.DataCheckHook',
        'mmvidssl.DataFailureHook',
        'mmvidssl.NaNGuardHook',
    ]
    rate = cfg.optim_wrapper.optimizer.lr / cfg.auto_scale_lr.base_batch_size
    assert cfg.auto_scale_lr.enable and rate == pytest.approx(6e-4 / 16)
    assert cfg.model.cls_head.num_classes == len(names.split())
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    runner = SimpleNamespace(
        model=nn.Sequential(Head(len(names.split()))),
        logger=MMLogger.get_instance('lists'),
        _train_loop=Loop(dataset),
        _val_loop=None,
        _test_loop=None,
    )
    with nullcontext() if message is None else pytest.raises(ValueError, match=message):
        HOOKS.build(cfg.custom_hooks[1]).before_run(runner)


def test_lists_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match='classes.txt .*list_videos.py'):
        Config.fromfile(PROJECT / 'configs/finetune.py')
