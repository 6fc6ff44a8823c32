import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmvidssl.engine import use_mixed_precision
from mmvidssl.engine.optimizers import fit_to_device
from mmvidssl.registry import OPTIM_WRAPPERS
from tests.utils_model import noise


@pytest.mark.parametrize('stated', ['', 'Amp', 'Autocast'])
@pytest.mark.parametrize('prefix', ['', 'PerParamClip'])
@pytest.mark.parametrize(('device', 'expected'), [('cuda', 'Amp'), ('cpu', 'Autocast')])
def test_swaps_the_wrapper(prefix, stated, device, expected):
    cfg = dict(type=f'{prefix}{stated}OptimWrapper', loss_scale=512.0, clip_grad=None)
    use_mixed_precision(cfg, device)
    scope = 'mmvidssl.' if device == 'cpu' else ''
    assert cfg['type'] == f'{scope}{prefix}{expected}OptimWrapper'
    assert ('loss_scale' in cfg) is (device == 'cuda')


def test_type_has_a_default():
    cfg = dict(optimizer=dict(type='SGD'))
    use_mixed_precision(cfg, 'cpu')
    assert cfg == dict(type='mmvidssl.AutocastOptimWrapper', optimizer=dict(type='SGD'))


def test_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match='Mine'):
        use_mixed_precision(dict(type='Mine'), 'cpu')


def test_only_what_needs_a_gpu_is_replaced_on_a_cpu():
    cfg = dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='bfloat16')
    assert not fit_to_device(dict(cfg), 'cuda')
    assert fit_to_device(cfg, 'cpu') and cfg == dict(type='mmvidssl.AutocastOptimWrapper')
    assert not fit_to_device(cfg, 'cpu')
    full = dict(optimizer=dict(type='SGD'))
    assert not fit_to_device(full, 'cpu') and 'type' not in full


def test_the_wrapper_is_found_from_another_librarys_scope():
    cfg = dict(type='AmpOptimWrapper')
    fit_to_device(cfg, 'cpu')
    with DefaultScope.overwrite_default_scope('mmaction'):
        assert OPTIM_WRAPPERS.get(cfg['type']).__name__ == 'AutocastOptimWrapper'


@pytest.mark.parametrize('kind', ['OptimWrapper', 'mmvidssl.PerParamClipOptimWrapper'])
def test_mixed_precision_is_turned_off_by_the_type(kind):
    """``--cfg-options optim_wrapper.type=...``, which leaves the loss scale of the config."""
    for device in ('cpu', 'cuda'):
        wrapper = dict(type=kind, loss_scale='dynamic', dtype='bfloat16', clip_grad=None)
        assert not fit_to_device(wrapper, device)
        assert wrapper == dict(type=kind, clip_grad=None)


def test_detectors_get_float32_on_a_cpu():
    cfg = dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert fit_to_device(cfg, 'cpu', autocasts=False) and cfg == dict(type='OptimWrapper')


def build(model, **changes):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cfg = {'type': 'mmvidssl.AutocastOptimWrapper', 'optimizer': optimizer, **changes}
    return OPTIM_WRAPPERS.build(cfg)


def test_forward_in_bfloat16_and_weights_in_float32():
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    wrapper = build(model)
    with wrapper.optim_context(model):
        out = model(noise(3, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().sum())
    assert model.weight.dtype == torch.float32
    expected = before - 0.1 * noise(3, 4).sum(0)
    torch.testing.assert_close(model.weight.data, expected, atol=0.02, rtol=0.02)
    assert model(noise(3, 4)).dtype == torch.float32  # autocast has ended


def test_accumulates():
    model = nn.Linear(4, 2)
    wrapper = build(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 2)
    steps = []
    for _ in range(2):
        with wrapper.optim_context(model):
            loss = model(noise(3, 4)).float().sum()
        before = model.weight.detach().clone()
        wrapper.update_params(loss)
        steps.append(not torch.equal(before, model.weight))
    assert steps == [False, True]
