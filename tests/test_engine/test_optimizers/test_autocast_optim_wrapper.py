import torch
from torch import nn

from mmvidssl.registry import OPTIM_WRAPPERS
from tests.utils_model import noise


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
