import pytest
import torch

from mmvidssl.models.backbones.recompute import run_block
from mmvidssl.registry import MODELS
from tests.utils_model import KeptBytes, noise


@pytest.mark.parametrize('with_cp, expected', [(False, 15), ('cheap', 9), (True, 0)])
def test_what_a_block_keeps(with_cp, expected):
    """Times the size of its input, beside that and the output.

    ``'cheap'`` keeps query, key and value, the attention's result and its projection, and four of
    the hidden layer; with two norms and what GELU made of the latter it is 15.
    """
    layer = MODELS.build(dict(type='mmvidssl.DINOViT', arch='deit-tiny')).layers[0]
    with KeptBytes() as counter:
        out = run_block(layer, with_cp, noise(8, 197, 192).requires_grad_())
    assert counter.total() / out.nbytes - 2 == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize('with_cp', ['cheap', True])
def test_blocks_may_be_passed_twice_in_half_precision(with_cp):
    """As DoRA's student is, by objects and by local views; autocast casts weights once for both."""
    layer = MODELS.build(dict(type='mmvidssl.DINOViT', arch='deit-tiny')).layers[0]
    x = noise(2, 5, 192)
    gradients = []
    for option in (with_cp, False):
        with torch.autocast('cpu', torch.bfloat16):
            out = run_block(layer, option, x) + run_block(layer, option, 2 * x)
            assert torch.is_autocast_cache_enabled()
        gradients.append(torch.autograd.grad(out.square().sum(), layer.attn.qkv.weight)[0])
    one, other = gradients  # which are added up in bfloat16 where the cast is one
    assert (one - other).norm() < 0.01 * other.norm()


@pytest.mark.parametrize('with_cp', ['Cheap', 2, None])
def test_another_with_cp_is_refused(with_cp):
    for name, arch in (('DINOViT', 'deit-tiny'), ('MaskFeatViT', 'deit-tiny'), ('MViT', 'tiny')):
        with pytest.raises(ValueError, match=repr(with_cp)):
            MODELS.build(dict(type=f'mmvidssl.{name}', arch=arch, with_cp=with_cp))
