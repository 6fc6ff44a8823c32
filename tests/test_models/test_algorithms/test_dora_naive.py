"""DoRA's batched step equals the step written a frame and an object at a time."""

import torch

from mmvidssl.registry import MODELS
from tests.references import naive_dora
from tests.utils_model import dora_cfg, views


def build():
    torch.manual_seed(0)
    tracker = dict(type='mmvidssl.MultiObjectTracker', num_objects=2, heads=[3, 1])
    model = MODELS.build(dora_cfg(preset='paper', tracker=tracker))
    model.init_weights()
    for module in (model.backbone, model.teacher):  # init_weights makes two alike
        for parameter in module.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.train()


def test_loss_gradients_and_center_equal_the_naive_step():
    ours, naive = build(), build()
    inputs = views(num_locals=3)
    loss = sum(ours.loss(inputs).values())
    loss.backward()
    expected = naive_dora.loss(naive, inputs['global_clip'], inputs['local_clips'])
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    ours.finish_step()
    torch.testing.assert_close(ours.target_generator.center, naive.target_generator.center)
    for (name, ours_p), naive_p in zip(ours.named_parameters(), naive.parameters(), strict=True):
        if ours_p.requires_grad:
            torch.testing.assert_close(
                ours_p.grad, naive_p.grad, atol=1e-6, rtol=1e-3, msg=lambda m, n=name: f'{n}: {m}'
            )
