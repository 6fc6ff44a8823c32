import pytest

from mmvidssl.engine import use_mixed_precision


@pytest.mark.parametrize('stated', ['', 'Amp', 'Autocast'])
@pytest.mark.parametrize('prefix', ['', 'PerParamClip'])
@pytest.mark.parametrize(('device', 'expected'), [('cuda', 'Amp'), ('cpu', 'Autocast')])
def test_swaps_the_wrapper(prefix, stated, device, expected):
    cfg = dict(type=f'{prefix}{stated}OptimWrapper', loss_scale=512.0, clip_grad=None)
    use_mixed_precision(cfg, device)
    assert cfg['type'] == f'{prefix}{expected}OptimWrapper'
    assert ('loss_scale' in cfg) is (device == 'cuda')


def test_type_has_a_default():
    cfg = dict(optimizer=dict(type='SGD'))
    use_mixed_precision(cfg, 'cpu')
    assert cfg == dict(type='AutocastOptimWrapper', optimizer=dict(type='SGD'))


def test_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match='would replace the optim_wrapper of the config, a Mine'):
        use_mixed_precision(dict(type='Mine'), 'cpu')
