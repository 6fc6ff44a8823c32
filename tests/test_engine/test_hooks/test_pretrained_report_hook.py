"""Real runs that begin with pretrained weights, or do not begin."""

import itertools
import logging
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmvidssl.engine import drop_sources
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


PLAIN = dict(type='PlainCheckpointHook')
REPORT = dict(type='PretrainedReportHook')


def make_runner(
    work_dir,
    backbone,
    model=Classifier,
    wrapper=None,
    hook=None,
    checkpoint=PLAIN,
    custom_hooks=None,
    lr=0.1,
    **options,
):
    model = model(backbone)
    custom_hooks = [dict(REPORT, **(hook or {}))] if custom_hooks is None else custom_hooks
    return Runner(
        model=wrapper(model) if wrapper else model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=Images(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr)),
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=custom_hooks,
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
    assert 'backbone: 30 of 30 tensors loaded from' in log_of(runner)
    assert '; 1 interpolated (pos_embed 1x17x24 -> 1x37x24); also in' in log_of(runner)


def test_new_tensors_are_named_if_they_are_allowed(files, tmp_path):
    backbone = pretrained(files / 'dora.pth', out_type='avg_featmap', final_norm=False)
    with pytest.raises(ValueError, match=r'2 of its 30 (?s:.)*ln2.bias: m'):
        make_runner(tmp_path / 'refused', backbone).train()
    runner = make_runner(tmp_path / 'allowed', backbone, hook=dict(allow_new=['ln2.*']))
    runner.train()
    log = log_of(runner)
    assert '2 missing (ln2.weight, ln2.bias); 2 unexpected (ln1.weight, ln1.bias)' in log


REFUSED = {
    'no such prefix': (
        pretrained('{}/dora.pth', 'model.'),
        ["{}/dora.pth (prefix 'model.')", "nearest prefix is 'teacher.backbone.' (30 of 30"],
    ),
    'prefix of something else': (
        pretrained('{}/dora.pth', 'teacher.'),
        ['model.backbone.init_cfg: ', 'cls_token: missing', "'teacher.backbone.' (30 of 30"],
    ),
    'prefix that is missing': (
        pretrained('{}/maskfeat.pth', None),
        ['30 of its 30 tensors', 'Unexpected: backbone.'],
    ),
    'another method': (
        pretrained('{}/maskfeat.pth', 'backbone.'),
        ['DINOViT: 30 of its 30', 'cls_token: 1x1x8 in the file, 1x1x24 in the model'],
    ),
    'another size': (
        pretrained('{}/dora.pth', arch='deit-tiny'),
        ['cls_token: 1x1x24 in the file, 1x1x192 in the model'],
    ),
    'another patch size': (
        pretrained('{}/dora.pth', patch_size=4),
        ['1 of its 30 tensors', 'projection.weight: 24x3x8x8 in the file, 24x3x4x4'],
    ),
    'nothing finite': (pretrained('{}/nan.pth'), ['layers.1.ln1.bias: not finite']),
    'no checkpoint': (pretrained('{}/text.pth'), ['text.pth does not open']),
    'no name': (
        backbone_cfg(init_cfg=dict(type='Pretrained', checkpoint=None)),
        ['model.backbone.init_cfg names', 'init_cfg.checkpoint=PATH'],
    ),
    'a deeper model': (
        pretrained(
            '{}/dora.pth',
            arch=dict(embed_dims=24, num_layers=1, num_heads=4, feedforward_channels=48),
        ),
        ['layers.1.*: unexpected'],
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
    assert str(error.value).startswith('model.backbone.init_cfg: none.pth')


def test_refuses_what_is_initialised_again(files, tmp_path):
    runner = make_runner(tmp_path, pretrained(files / 'dora.pth'), model=Restless)
    with pytest.raises(RuntimeError, match=r'1 of 30 .*layers.1.attn.qkv'):
        runner.train()
    assert runner.iter == 0


class Forgetful(Hook):
    """Initialises a part of the model after it was loaded."""

    priority = 'NORMAL'

    def before_train(self, runner):
        nn.init.zeros_(runner.model.backbone.layers[1].attn.qkv.weight)


def test_refuses_what_is_initialised_again_after_load_from(files, tmp_path):
    runner = make_runner(tmp_path, backbone_cfg(), load_from=str(files / 'dora.pth'))
    runner.register_hook(Forgetful(), priority='NORMAL')
    with pytest.raises(RuntimeError, match=r'^1 of 30 .*layers.1.attn.qkv'):
        runner.train()
    assert runner.iter == 0


def test_another_start_takes_the_place_of_init_cfg(files, tmp_path):
    """Neither what is resumed nor what ``load_from`` replaces is checked."""
    make_runner(tmp_path / 'first', pretrained(files / 'dora.pth')).train()
    start = str(tmp_path / 'first' / 'epoch_1.pth')
    uncovered = pretrained(files / 'maskfeat.pth', 'backbone.')
    with pytest.raises(ValueError, match='30 of its 30'):
        make_runner(tmp_path / 'third', uncovered).train()
    runner = make_runner(tmp_path / 'second', uncovered, load_from=start)
    runner.train()
    assert f'weights come from {start}, in place of those of init_cfg' in log_of(runner)
    assert f'model: 32 of 32 tensors loaded from {start}' in log_of(runner)
    (tmp_path / 'second' / 'last_checkpoint').unlink()  # PlainCheckpointHook finds it all the same
    runner = make_runner(tmp_path / 'second', uncovered, resume=True)
    runner.train()
    assert runner.epoch == 1


def test_another_start_needs_no_pretrained_file(files, tmp_path):
    """Trained here, gone on with on a machine that has the checkpoint and nothing else."""
    make_runner(tmp_path / 'first', pretrained(files / 'dora.pth')).train()
    start = str(tmp_path / 'first' / 'epoch_1.pth')
    weights = torch.load(start, weights_only=True)['state_dict']
    gone = pretrained('gone.pth')
    (tmp_path / '2').mkdir()
    (tmp_path / '2' / 'epoch_1.pth').write_bytes(Path(start).read_bytes())
    starts = (dict(load_from=start), dict(load_from=start, resume=True), dict(resume=True))
    for index, options in enumerate(starts):
        begin = Start()
        runner = make_runner(tmp_path / str(index), gone, **options)
        runner.register_hook(begin, priority='LOWEST')
        runner.train()
        for name, value in begin.state.items():
            assert torch.equal(value, weights[f'backbone.{name}']), name


def test_only_files_are_dropped():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    constant, file = dict(type='Constant', val=1.0), dict(type='Pretrained', checkpoint='a.pth')
    model[0].init_cfg, model[1].init_cfg = [constant, file], file
    drop_sources(model, ['0.weight'])
    assert model[0].init_cfg == [constant] and model[1].init_cfg == file
    drop_sources(model)
    assert model[0].init_cfg == [constant] and model[1].init_cfg is None


def test_a_start_without_a_part_leaves_that_to_its_init_cfg(files, tmp_path):
    """A frozen teacher, say, of which a published backbone knows nothing."""

    class Two(Classifier):
        def __init__(self, backbone):
            super().__init__(backbone)
            self.other = MODELS.build(pretrained(files / 'dora.pth'))

    published = torch.load(files / 'dora.pth', weights_only=True)['state_dict']
    published = {k: v for k, v in published.items() if k.startswith('backbone.')}
    torch.save(published, tmp_path / 'published.pth')
    runner = make_runner(
        tmp_path,
        pretrained('gone.pth'),
        model=Two,
        load_from=str(tmp_path / 'published.pth'),
        lr=0.0,
    )
    runner.train()
    weights = torch.load(files / 'dora.pth', weights_only=True)['state_dict']
    for part, prefix in dict(backbone='backbone.', other='teacher.backbone.').items():
        for name, value in getattr(runner.model, part).state_dict().items():
            assert torch.equal(value, weights[prefix + name]), name
    assert 'other: 30 of 30 tensors loaded' in log_of(runner)


class Start(Hook):
    """The backbone when training begins."""

    priority = 'LOWEST'

    def before_train(self, runner):
        self.state = {k: v.clone() for k, v in runner.model.backbone.state_dict().items()}


HOOKS_OF_A_CONFIG = {
    'ours': (PLAIN, [REPORT]),
    'ours without a report': (PLAIN, []),
    "MMEngine's and a report": (dict(type='mmengine.CheckpointHook'), [REPORT]),
}


@pytest.mark.parametrize(
    'checkpoint, custom_hooks', HOOKS_OF_A_CONFIG.values(), ids=HOOKS_OF_A_CONFIG
)
def test_load_from_a_run_of_dora_takes_the_teacher(files, tmp_path, checkpoint, custom_hooks):
    """MMEngine's prefixes would take the student."""
    options = dict(
        load_from=str(files / 'dora.pth'), checkpoint=checkpoint, custom_hooks=custom_hooks
    )
    runner = make_runner(tmp_path, backbone_cfg(), **options)
    start = Start()
    runner.register_hook(start, priority='LOWEST')
    runner.train()
    weights = torch.load(files / 'dora.pth', weights_only=True)['state_dict']
    for name, value in start.state.items():
        assert torch.equal(value, weights[f'teacher.backbone.{name}']), name
    log = log_of(runner)
    assert "takes the teacher's. backbone: 30 of 30 tensors loaded" in log
    assert "(prefix 'teacher.backbone.')" in log


@pytest.mark.parametrize(
    'checkpoint, custom_hooks', HOOKS_OF_A_CONFIG.values(), ids=HOOKS_OF_A_CONFIG
)
def test_load_from_another_method_is_refused(files, tmp_path, checkpoint, custom_hooks):
    options = dict(checkpoint=checkpoint, custom_hooks=custom_hooks)
    runner = make_runner(tmp_path, backbone_cfg(), load_from=str(files / 'maskfeat.pth'), **options)
    with pytest.raises(ValueError, match='Classifier: 32 of its 32'):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize(
    'checkpoint, custom_hooks', HOOKS_OF_A_CONFIG.values(), ids=HOOKS_OF_A_CONFIG
)
def test_a_pretrained_backbone_alone_is_not_tested(files, tmp_path, checkpoint, custom_hooks):
    """MMEngine would test a head of random weights."""
    options = dict(
        load_from=str(files / 'dora.pth'),
        checkpoint=checkpoint,
        custom_hooks=custom_hooks,
        test_dataloader=dict(dataset=Images(), batch_size=2, sampler=dict(type='DefaultSampler')),
        test_cfg=dict(),
        test_evaluator=dict(type='mmengine.DumpResults', out_file_path=str(tmp_path / 'a.pkl')),
    )
    runner = make_runner(tmp_path, backbone_cfg(), **options)
    with pytest.raises(ValueError, match=r'2 of its 32 (?s:.)*head.weight'):
        runner.test()


def test_a_head_that_may_be_new_is_not_tested(files, tmp_path):
    """One of another number of classes, say, which training replaces."""
    model = Classifier(backbone_cfg(), classes=7)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'seven.pth')
    options = dict(load_from=str(tmp_path / 'seven.pth'), hook=dict(allow_new=['head.*']))
    runner = make_runner(
        tmp_path,
        backbone_cfg(),
        test_dataloader=dict(dataset=Images(), batch_size=2, sampler=dict(type='DefaultSampler')),
        test_cfg=dict(),
        test_evaluator=dict(type='mmengine.DumpResults', out_file_path=str(tmp_path / 'a.pkl')),
        **options,
    )
    with pytest.raises(ValueError, match='head.weight: 7x24'):
        runner.test()
    make_runner(tmp_path / 'trained', backbone_cfg(), **options).train()


def test_an_init_cfg_without_a_prefix_leaves_a_choice(files, tmp_path):
    class Whole(Classifier):
        def __init__(self, backbone, prefix=None):
            super().__init__(backbone)
            checkpoint = str(files / 'dora.pth')
            self.init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix=prefix)

    message = "Set model.init_cfg.prefix='teacher.'"
    hook = dict(allow_new=['head.*'])
    with pytest.raises(ValueError, match=message):
        make_runner(tmp_path / 'either', backbone_cfg(), model=Whole, hook=hook).train()
    runner = make_runner(
        tmp_path / 'teacher',
        Whole(backbone_cfg(), 'teacher.'),
        hook=hook,
        model=lambda whole: whole,
    )
    runner.train()
    assert 'model: 30 of 32 tensors loaded' in log_of(runner)


def test_warns_if_nothing_is_pretrained(tmp_path):
    runner = make_runner(tmp_path, backbone_cfg())
    runner.train()
    assert 'nothing of the model is pretrained' in log_of(runner)


def test_patterns_are_a_list():
    with pytest.raises(TypeError, match=r"\['ln2.\*'\]"):
        HOOKS.build(dict(type='PretrainedReportHook', allow_new='ln2.*'))


def test_validation_needs_no_file(caplog):
    class Idle:
        model = nn.Identity()
        _train_loop = dict(max_epochs=1)
        _resume, _load_from = False, None
        logger = logging.getLogger('idle')

    PretrainedReportHook().before_run(Idle())
