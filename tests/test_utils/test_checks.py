import pytest
from mmengine.config import Config

from mmvidssl.utils.checks import (
    check_overrides,
    check_pretrained_files,
    check_top_level,
    check_trainable,
)
from tests.test_downstream.utils_dense import configs_of, read_config

BASE = dict(
    model=dict(type='DoRA', head=dict(loss=dict(student_temp=0.1))),
    optim_wrapper=dict(optimizer=dict(lr=1e-3)),
    param_scheduler=[dict(type='LinearLR', end=10)],
    train_dataloader=dict(dataset=dict(ann_file='data/list.txt', pipeline=[dict(type='Decode')])),
    train_cfg=dict(max_epochs=3, val_interval=1),
    log_level='INFO',
    load_from=None,
)
VARIABLES = dict(
    max_epochs=3, data_root='data', train_pipeline=[dict(type='Decode')], is_used=True, lost=7
)


@pytest.fixture
def config(tmp_path):
    """Makes a config of some file."""
    path = tmp_path / 'some.py'
    path.touch()
    return lambda **changes: Config({**BASE, **changes}, filename=path)


@pytest.mark.parametrize(
    'key, meant',
    [
        ('optim_wraper', 'optim_wrapper'),
        ('train_dataloder', 'train_dataloader'),
        ('param_schedulers', 'param_scheduler'),
        ('custom_hook', 'custom_hooks'),
        ('auto_scale_Ir', 'auto_scale_lr'),
    ],
)
@pytest.mark.parametrize('inherited', [True, False])
def test_misspelt_top_level_key(config, key, meant, inherited):
    cfg = config(**{key: {}}, **({meant: {}} if inherited else {}))
    if not inherited:
        cfg.pop(meant, None)
    with pytest.raises(ValueError, match=f"some.py.*'{key}'.*'{meant}'"):
        check_top_level(cfg)


@pytest.mark.parametrize(
    'place, key, meant',
    [
        ('auto_scale_lr', 'enabel', 'enable'),
        ('auto_scale_lr', 'batch', 'base_batch_size'),
        ('env_cfg', 'cudnn_benchmak', 'cudnn_benchmark'),
    ],
)
def test_misspelt_key_that_no_class_refuses(config, place, key, meant):
    good = dict(auto_scale_lr=dict(enable=True, base_batch_size=8), env_cfg=dict(mp_cfg={}))
    check_top_level(config(**good))
    with pytest.raises(ValueError, match=f"'{place}.{key}'.*'{place}.{meant}'"):
        check_top_level(config(**good | {place: {**good[place], key: 1}}))


def test_own_variables_and_the_runners_keys_pass(config):
    own = dict(dataset_type='A', data_root='b', max_iters=3)
    check_top_level(config(**own, compile=True, sync_bn='torch'))


@pytest.mark.parametrize(
    'option',
    [
        'model.head.loss.student_temp',
        'model.preset',  # a new last part
        'optim_wrapper.clip_grad.max_norm',  # new dicts
        'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult',
        'param_scheduler.0.end',
        'param_scheduler.0.start_factor',
        'train_dataloader.dataset.pipeline.0',
        'train_cfg.max_epochs',
        'randomness.seed',  # the runner reads it, the config does not state it
        'compile',
        'find_unused_parameters',
        'load_from',
    ],
)
def test_good_overrides(config, option):
    check_overrides(config(), [option])


@pytest.mark.parametrize(
    'option, message',
    [
        ('modle.preset', "'modle'.*'model'"),
        ('optim_wrapper.optimiser.lr', "'optim_wrapper.optimizer'"),
        ('model.head.los.student_temp', "'model.head.loss'"),
        ('param_scheduler.1.end', r"scheduler.1'.*There is 0\."),
        ('param_scheduler.1', r"scheduler.1'.*There is 0\."),
        ('param_scheduler.first.end', "'param_scheduler.first'"),
        ('log_level.name', "'log_level.name'.*nothing"),
        ('zzz', "'zzz'"),
    ],
)
def test_overrides_that_lead_nowhere(config, option, message):
    with pytest.raises(ValueError, match=f'{option}: .*{message}'):
        check_overrides(config(), [option])


@pytest.mark.parametrize(
    'option, advice',
    [
        ('max_epochs', ': train_cfg.max_epochs. '),
        ('data_root', ': train_dataloader.dataset.ann_file. '),
        ('train_pipeline.0.type', ': train_dataloader.dataset.pipeline.0.type. '),
        ('is_used', 'what is made of it'),  # 1 is not True
        ('lost', 'what is made of it'),
    ],
)
def test_variables_are_not_overridden(config, option, advice):
    with pytest.raises(ValueError, match=f'{option}: .*some.py.*{advice}'):
        check_overrides(config(**VARIABLES), [option])


def pretrained(checkpoint, **options):
    return dict(type='Pretrained', checkpoint=checkpoint, **options)


def test_pretrained_files_that_are_there(config, tmp_path):
    (tmp_path / 'weights.pth').touch()
    backbones = [
        dict(init_cfg=pretrained(str(tmp_path / 'weights.pth'))),
        dict(init_cfg=[dict(type='Constant'), pretrained('https://example.com/weights.pth')]),
        dict(init_cfg=pretrained(None)),
        dict(init_cfg=None),
    ]
    check_pretrained_files(config(model=dict(backbones=backbones)))
    check_pretrained_files(config(model=None))
    check_pretrained_files(config(load_from=str(tmp_path / 'weights.pth')))
    check_pretrained_files(config(load_from='https://example.com/weights.pth'))


def test_another_start_needs_no_pretrained_file(config, tmp_path):
    (tmp_path / 'epoch_1.pth').touch()
    model = dict(backbone=dict(init_cfg=pretrained('none.pth')))
    hooks = [dict(type='mmvidssl.PretrainedReportHook')]
    starts = [
        dict(load_from=str(tmp_path / 'epoch_1.pth')),
        dict(load_from=str(tmp_path / 'epoch_1.pth'), resume=True),
        dict(resume=True, work_dir=str(tmp_path)),
    ]
    for start in starts:
        check_pretrained_files(config(model=model, custom_hooks=hooks, **start))
        with pytest.raises(FileNotFoundError, match='none.pth'):  # MMEngine would read it
            check_pretrained_files(config(model=model, **start))
    fresh = dict(resume=True, work_dir=str(tmp_path / 'fresh'))
    for start in (fresh, dict(work_dir=str(tmp_path))):
        with pytest.raises(FileNotFoundError, match='none.pth'):
            check_pretrained_files(config(model=model, custom_hooks=hooks, **start))


def test_missing_file_to_start_from(config):
    with pytest.raises(FileNotFoundError, match='some.py: load_from: none.pth'):
        check_pretrained_files(config(load_from='none.pth'))


@pytest.mark.parametrize(
    'model, place',
    [
        (dict(init_cfg=pretrained('none.pth')), 'model.init_cfg'),
        (dict(backbone=dict(init_cfg=pretrained('none.pth'))), 'model.backbone.init_cfg'),
        (dict(parts=[dict(init_cfg=[pretrained('none.pth')])]), 'model.parts.0.init_cfg.0'),
    ],
)
def test_missing_pretrained_file(config, model, place):
    with pytest.raises(FileNotFoundError) as error:
        check_pretrained_files(config(model=model))
    assert f'some.py: {place}: none.pth' in str(error.value)
    assert f'--cfg-options {place}.checkpoint=' in str(error.value)


def test_configs_for_testing_alone_are_not_trained():
    configs = {name: read_config(path) for name, path in configs_of('ade20k').items()}
    assert sum(name.endswith('-ms') for name in configs) == 2
    for name, cfg in configs.items():
        if name.endswith('-ms'):
            with pytest.raises(ValueError, match=f'{name}.py.*SegTTAModel'):
                check_trainable(cfg)
        else:
            check_trainable(cfg)
