"""Real runs that begin with pretrained weights, or do not begin."""

import itertools
import logging
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmvidssl.engine.hooks import PretrainedReportHook
from mmvidssl.registry import HOOKS, MODELS
from mmvidssl.utils import register_all_modules
from tests.test_downstream.utils import write_checkpoint
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg, noise

_count = itertools.count()


class Classifier(BaseModel):
    """A backbone and a linear layer, as any library would put them together."""

    def __init__(self, backbone, classes=3):
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.head = nn.Linear(24, classes)

    def forward(self, inputs, labels, mode='tensor'):
        logits = self.head(self.backbone(torch.stack(inputs))[-1])
        return dict(loss=nn.functional.cross_entropy(logits, torch.stack(labels)))


class Restless(Classifier):
    """Initialises a part of its backbone after the weights were loaded."""

    def init_weights(self):
        super().init_weights()
        nn.init.zeros_(self.backbone.layers[1].attn.qkv.weight)


class Images(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=noise(3, 32, 32, seed=index), labels=torch.tensor(index % 3))


@pytest.fixture(autouse=True)
def all_modules():
    register_all_modules()


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Checkpoints of DoRA and of MaskFeat."""
    folder = tmp_path_factory.mktemp('checkpoints')
    write_checkpoint(folder / 'dora.pth', dora_cfg())
    write_checkpoint(folder / 'maskfeat.pth', maskfeat_cfg())
    return folder


def pretrained(checkpoint, prefix='teacher.backbone.', **changes):
    init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint), prefix=prefix)
    return backbone_cfg(init_cfg=init_cfg, **changes)


def make_runner(work_dir, backbone, model=Classifier, wrapper=None, hook=None, **options):
    model = model(backbone)
    return Runner(
        model=wrapper(model) if wrapper else model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=Images(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=dict(type='PlainCheckpointHook')),
        custom_hooks=[dict(type='PretrainedReportHook', **(hook or {}))],
        experiment_name=f'pretrained{next(_count)}',
        default_scope='mmvidssl',
        **options,
    )


class Wrapper(nn.parallel.DataParallel):
    """MMEngine takes it for a wrapper of distributed training."""

    def train_step(self, *args, **kwargs):
        return self.module.train_step(*args, **kwargs)


def log_of(runner):
    (log,) = Path(runner.work_dir).glob('*/*.log')
    return log.read_text()


@pytest.mark.parametrize('wrapper', [None, Wrapper])
def test_reports_what_was_loaded(files, tmp_path, wrapper):
    runner = make_runner(tmp_path, pretrained(files / 'dora.pth', img_size=48), wrapper=wrapper)
    runner.train()
    assert runner.iter == 2
    expected = (
        f'backbone: 30 of 30 tensors loaded from {files}/dora.pth (prefix '
        "'teacher.backbone.'): 29 as they are in the file, 1 interpolated (pos_embed 1x17x24 -> "
        '1x37x24), 0 new; also in the file: backbone.'
    )
    assert expected in log_of(runner)


def test_new_tensors_are_named_if_they_are_allowed(files, tmp_path):
    backbone = pretrained(files / 'dora.pth', out_type='avg_featmap', final_norm=False)
    with pytest.raises(ValueError, match=r'2 of its 30 tensors(.|\n)*ln2.bias: not in the file'):
        make_runner(tmp_path / 'refused', backbone).train()
    runner = make_runner(tmp_path / 'allowed', backbone, hook=dict(allow_new=['ln2.*']))
    runner.train()
    assert '2 new (ln2.weight, ln2.bias); left over: ln1.weight, ln1.bias' in log_of(runner)


REFUSED = {
    'no such prefix': (
        pretrained('{}/dora.pth', 'model.'),
        [
            "no weight of {}/dora.pth begins with 'model.'",
            "'backbone.' (30 of 30), 'teacher.backbone.' (30 of 30)",
            "Set model.backbone.init_cfg.prefix='teacher.backbone.'",
        ],
    ),
    'prefix of something else': (
        pretrained('{}/dora.pth', 'teacher.'),
        ['cls_token: not in the file', "Set model.backbone.init_cfg.prefix='teacher.backbone.'"],
    ),
    'prefix that is missing': (
        pretrained('{}/maskfeat.pth', None),
        [
            '30 of its 30 tensors',
            'No prefix fits',
            'begin with backbone., neck. Name',
        ],
    ),
    'another method': (
        pretrained('{}/maskfeat.pth', 'backbone.'),
        [
            'does not cover the DINOViT: 30 of its 30 tensors are missing or do not fit',
            'cls_token: 1x1x8 in the file, 1x1x24 in the model',
            'the file has 3 blocks (blocks.*), patch_embed.projection.weight 8x3x3x7x7; the model, '
            'DINOViT, has 2 blocks (layers.*), patch_embed.projection.weight 24x3x8x8',
            'Name a checkpoint of the same method and size, or give model.backbone the type',
        ],
    ),
    'another size': (
        pretrained('{}/dora.pth', arch='deit-tiny'),
        ['cls_token: 1x1x24 in the file, 1x1x192 in the model', 'has 12 blocks (layers.*)'],
    ),
    'another patch size': (
        pretrained('{}/dora.pth', patch_size=4),
        ['1 of its 30 tensors', 'patch_embed.projection.weight: 24x3x8x8 in the file, 24x3x4x4'],
    ),
    'nothing finite': (pretrained('{}/nan.pth'), ['layers.1.ln1.bias: not finite in the file']),
    'no checkpoint': (
        pretrained('{}/text.pth'),
        ['text.pth does not open as plain data', 'publish_model.py'],
    ),
    'no name': (
        backbone_cfg(init_cfg=dict(type='Pretrained', checkpoint=None)),
        ['model.backbone.init_cfg names no checkpoint', 'init_cfg.checkpoint=PATH'],
    ),
}


@pytest.mark.parametrize('backbone, messages', REFUSED.values(), ids=REFUSED)
def test_refuses_before_anything_is_initialised(files, tmp_path, monkeypatch, backbone, messages):
    weights = torch.load(files / 'dora.pth', weights_only=True)
    weights['state_dict']['teacher.backbone.layers.1.ln1.bias'][3] = torch.nan
    torch.save(weights, files / 'nan.pth')
    (files / 'text.pth').write_text('Not a checkpoint')
    init_cfg = dict(backbone['init_cfg'])
    if init_cfg['checkpoint']:
        init_cfg['checkpoint'] = init_cfg['checkpoint'].format(files)
    monkeypatch.setattr(Classifier, 'init_weights', lambda self: pytest.fail('initialised'))
    with pytest.raises(ValueError) as error:
        make_runner(tmp_path, dict(backbone, init_cfg=init_cfg)).train()
    for message in messages:
        assert message.format(files) in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        make_runner(tmp_path, pretrained('none.pth')).train()
    assert str(error.value) == (
        'model.backbone.init_cfg: none.pth does not exist. Name the pretrained weights, on the '
        'command line with --cfg-options model.backbone.init_cfg.checkpoint=PATH'
    )


def test_refuses_what_is_initialised_again(files, tmp_path):
    runner = make_runner(tmp_path, pretrained(files / 'dora.pth'), model=Restless)
    message = r'1 of 30 tensors are not those of .*dora.pth when training begins: layers.1.attn.qkv'
    with pytest.raises(RuntimeError, match=message):
        runner.train()
    assert runner.iter == 0


def test_another_start_is_not_checked(files, tmp_path):
    """Neither what is resumed nor what ``load_from`` replaces."""
    backbone = pretrained(files / 'dora.pth', final_norm=False)
    make_runner(tmp_path / 'first', backbone).train()
    start = str(tmp_path / 'first' / 'epoch_1.pth')
    uncovered = pretrained(files / 'dora.pth', final_norm=False, layer_scale_init_value=1e-5)
    with pytest.raises(ValueError, match='gamma1.weight: not in the file'):
        make_runner(tmp_path / 'third', uncovered).train()
    runner = make_runner(tmp_path / 'second', uncovered, load_from=start)
    runner.train()
    assert f'weights come from {start}' in log_of(runner)
    (tmp_path / 'second' / 'last_checkpoint').unlink()  # PlainCheckpointHook finds it all the same
    runner = make_runner(tmp_path / 'second', uncovered, resume=True)
    runner.train()
    assert runner.epoch == 1


def test_warns_if_nothing_is_pretrained(tmp_path):
    runner = make_runner(tmp_path, backbone_cfg())
    runner.train()
    assert 'nothing of the model is pretrained' in log_of(runner)


def test_patterns_are_a_list():
    with pytest.raises(TypeError, match=r"Write \['ln2.\*'\]"):
        HOOKS.build(dict(type='PretrainedReportHook', allow_new='ln2.*'))


def test_validation_needs_no_file(caplog):
    class Idle:
        _train_loop = dict(max_epochs=1)
        logger = logging.getLogger('idle')

    PretrainedReportHook().before_run(Idle())
