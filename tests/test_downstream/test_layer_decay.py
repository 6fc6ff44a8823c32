"""Layer decay of every config that has it, at full size and without memory."""

import pytest
from mmengine.optim import build_optim_wrapper

from tests.test_downstream.utils_action import build_full
from tests.test_downstream.utils_dense import configs_of, read_config

CFGS = {name: read_config(path) for name, path in configs_of('*').items()}
DECAYED = [
    name
    for name, cfg in CFGS.items()
    if 'layer_decay_rate' in (cfg.optim_wrapper.get('paramwise_cfg') or {})
]
FIRST = ('cls_token', 'pos_embed', 'mask_token', 'patch_embed.')


def depth_of(name, num_blocks):
    """Of a parameter, told from its name alone."""
    inner = name.removeprefix('backbone.')
    if inner != name and inner.startswith(FIRST):
        return 0
    if inner != name and inner.startswith(('layers.', 'blocks.')):
        return int(inner.split('.')[1]) + 1
    return num_blocks + 1


def test_they_are_of_every_kind():
    assert {CFGS[name].default_scope for name in DECAYED} == {
        'mmdet',
        'mmseg',
        'mmaction',
        'mmpretrain',
    }
    constructors = {CFGS[name].optim_wrapper.constructor for name in DECAYED}
    assert constructors == {'mmvidssl.LayerDecayConstructor'}


@pytest.mark.parametrize('name', DECAYED)
def test_every_parameter_has_the_rate_of_its_depth(name):
    cfg = CFGS[name].copy()
    model = build_full(cfg)
    model = getattr(model, 'module', model)
    wrapper = cfg.optim_wrapper.copy()
    decay, optimizer = wrapper.paramwise_cfg.layer_decay_rate, wrapper.optimizer
    wrapper.update(type='OptimWrapper')
    for key in ('loss_scale', 'dtype'):
        wrapper.pop(key, None)
    groups = build_optim_wrapper(model, wrapper).optimizer.param_groups
    settings = {id(p): (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    num_blocks = model.backbone.num_layers
    depths = set()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in settings, key
            continue
        rate, weight_decay = settings.pop(id(parameter))
        depth = depth_of(key, num_blocks)
        depths.add(depth)
        expected = optimizer.lr * decay ** (num_blocks + 1 - depth)
        assert rate == pytest.approx(expected, rel=1e-9), key
        assert weight_decay == (optimizer.weight_decay if parameter.ndim > 1 else 0), key
    assert not settings
    assert depths == set(range(num_blocks + 2))
