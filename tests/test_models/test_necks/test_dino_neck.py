import pytest
import torch
from torch import nn

from mmvidssl.models.utils import Linear
from mmvidssl.registry import MODELS
from tests.utils_model import noise


def build(**changes):
    cfg = dict(in_channels=6, num_prototypes=10, hidden_channels=8, bottleneck_channels=4)
    return MODELS.build({'type': 'mmvidssl.DINONeck', **cfg, **changes})


def test_equals_the_formula():
    neck = build(norm_last_layer=False)
    scale = neck.last_layer.parametrizations.weight.original0
    scale.data.mul_(torch.arange(1.0, 11.0)[:, None])
    direction = neck.last_layer.parametrizations.weight.original1
    features = noise(2, 3, 6)
    hidden = neck.mlp(features)
    hidden = hidden / hidden.pow(2).sum(-1, keepdim=True).sqrt()
    prototypes = scale * direction / direction.pow(2).sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(neck(features), hidden @ prototypes.T)


def test_logits_are_cosines_while_prototypes_have_unit_length():
    logits = build()(noise(64, 6))
    assert logits.shape == (64, 10)
    assert logits.abs().max() <= 1 + 1e-5


@pytest.mark.parametrize('norm_last_layer', [True, False])
def test_norm_last_layer_keeps_the_lengths(norm_last_layer):
    neck = build(norm_last_layer=norm_last_layer)
    neck.init_weights()
    lengths = neck.last_layer.parametrizations.weight.original0
    assert lengths.requires_grad is not norm_last_layer
    optimizer = torch.optim.SGD([p for p in neck.parameters() if p.requires_grad], lr=1.0)
    neck(noise(4, 6)).sum().backward()
    optimizer.step()
    assert bool((lengths == 1).all()) is norm_last_layer


@pytest.mark.parametrize('num_layers', [1, 2, 3])
@pytest.mark.parametrize('use_bn', [True, False])
def test_layers(num_layers, use_bn):
    neck = build(num_layers=num_layers, use_bn=use_bn)
    kinds = [type(module) for module in neck.mlp]
    hidden = [Linear, nn.BatchNorm1d, nn.GELU] if use_bn else [Linear, nn.GELU]
    assert kinds == hidden * (num_layers - 1) + [Linear]
    assert neck(noise(4, 6)).shape == (4, 10)


def test_initial_weights():
    neck = build(in_channels=64, hidden_channels=256, bottleneck_channels=64)
    neck.init_weights()
    assert neck.mlp[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not neck.mlp[0].bias.any()
    assert (neck.last_layer.parametrizations.weight.original0 == 1).all()


def test_loads_checkpoints_of_the_old_weight_norm():
    """DINO's own files say ``weight_g`` and ``weight_v``."""
    neck, old = build(), build().state_dict()
    prefix = 'last_layer.parametrizations.weight.'
    old['last_layer.weight_g'] = old.pop(f'{prefix}original0') * 2
    old['last_layer.weight_v'] = old.pop(f'{prefix}original1')
    neck.load_state_dict(old)
    assert (neck.last_layer.parametrizations.weight.original0 == 2).all()


def test_pretrained_weights_are_loaded(tmp_path):
    source = build()
    torch.save(source.state_dict(), tmp_path / 'neck.pth')
    neck = build(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'neck.pth')))
    neck.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(neck.state_dict()[name], value), name


def test_refuses_no_layer():
    with pytest.raises(ValueError, match='num_layers >= 1'):
        build(num_layers=0)
