import math

import numpy as np
import torch
import torch.nn.functional as F

from mmvidssl.registry import MODELS
from projects.maskfeat_learns.finetuning import (
    ClipClassifier,
    FineTuning,
    finetune,
    warmup_cosine,
)


def vit(**kwargs):
    arch = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
    cfg = dict(type='mmvidssl.MaskFeatViT', arch=arch, img_size=16, patch_size=4, **kwargs)
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def to_inputs(clips, rng=None):
    return torch.from_numpy(clips).float() - 0.5


def test_schedule():
    factors = [warmup_cosine(step, 100, 0.1) for step in range(100)]
    assert np.allclose(factors[:10], np.arange(1, 11) / 11)
    assert factors[10] == 1
    assert math.isclose(factors[55], 0.5)
    assert np.all(np.diff(factors[10:]) < 0)
    assert factors[99] < 1e-3


def test_features_are_mean_tokens_and_the_backbone_is_copied():
    backbone = vit()
    model = ClipClassifier(backbone, 3)
    clips = torch.randn(2, 3, 1, 16, 16)
    tokens = backbone.forward_tokens(clips).tokens
    means = tokens.mean(1)
    standard = (means - means.mean(0)) / (means.var(0, correction=0) + model.norm.eps).sqrt()
    assert torch.allclose(model(clips), model.fc(standard), atol=1e-5)
    before = tokens.detach().clone()
    finetune(model, clips.numpy(), torch.tensor([0, 1]), FineTuning(1), to_inputs, rng())
    assert torch.equal(backbone.forward_tokens(clips).tokens, before)


def rng():
    return np.random.default_rng(0)


def test_learns_and_is_reproducible():
    labels = torch.arange(24) % 2
    clips = np.random.default_rng(1).random((24, 3, 1, 16, 16), dtype=np.float32)
    clips[labels == 1, 0] += 0.5
    logits = []
    for _ in range(2):
        torch.manual_seed(0)
        model = ClipClassifier(vit(), 2)
        finetune(model, clips, labels, FineTuning(20, lr=3e-3, batch_size=8), to_inputs, rng())
        assert not model.training
        logits.append(model(to_inputs(clips)).detach())
    assert torch.equal(*logits)
    assert (logits[0].argmax(1) == labels).all()


def test_one_step_is_adamw_on_the_smoothed_cross_entropy():
    torch.manual_seed(0)
    clips, labels = rng().random((4, 3, 1, 16, 16), dtype=np.float32), torch.arange(4) % 2
    model = ClipClassifier(vit(), 2)
    naive = ClipClassifier(model.backbone, 2)
    naive.load_state_dict(model.state_dict())
    recipe = FineTuning(1, 1e-2, 4, weight_decay=0.0, warmup=0.0, max_norm=math.inf)
    finetune(model, clips, labels, recipe, to_inputs, rng())
    optimizer = torch.optim.AdamW(naive.parameters(), lr=1e-2, weight_decay=0.0)
    log_probs = naive(to_inputs(clips)).log_softmax(1)
    smooth = 0.95 * F.one_hot(labels, 2) + 0.05 * F.one_hot(1 - labels, 2)
    (-(smooth * log_probs).sum(1).mean()).backward()
    optimizer.step()
    num_compared = 0
    for (name, ours), theirs in zip(model.named_parameters(), naive.parameters(), strict=True):
        if theirs.grad is not None:
            # Adam's first step takes a gradient's sign, which is random where it is but rounding.
            sure = theirs.grad.abs() > 1e-6
            assert torch.allclose(ours[sure], theirs[sure], atol=1e-5), name
            num_compared += int(sure.sum())
    assert num_compared > 1000
