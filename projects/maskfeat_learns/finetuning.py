"""Fine-tuning a backbone as a classifier of clips held in memory, with few labels."""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmvidssl.engine.optimizers import DecayGroupsConstructor


class FineTuning(NamedTuple):
    """How to fine-tune.

    Attributes:
        epochs: Passes over the labelled clips.
        lr: Peak learning rate.
        batch_size: Clips in a step.
        weight_decay: Of matrices.
        warmup: Share of the steps with a growing learning rate; a cosine to zero follows.
        label_smoothing: Of the cross-entropy.
        max_norm: Of all gradients together.
    """

    epochs: int = 50
    lr: float = 1e-3
    batch_size: int = 32
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    max_norm: float = 1.0


class ClipClassifier(nn.Module):
    """A backbone, the mean of its tokens, and a linear layer.

    The mean is standardised by a batch norm without parameters: what tells the clips apart in
    pretrained tokens is small beside what they have in common, and a few steps would not find it.

    Args:
        backbone: With ``forward_tokens`` and ``out_channels``, such as ``MaskFeatMViT``; copied.
        num_classes: Number of classes.
    """

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.norm = nn.BatchNorm1d(backbone.out_channels, affine=False)
        self.fc = nn.Linear(backbone.out_channels, num_classes)
        nn.init.trunc_normal_(self.fc.weight, std=0.02)
        nn.init.zeros_(self.fc.bias)

    def features(self, clips: Tensor) -> Tensor:
        """Mean tokens ``(B, D)`` of normalised clips ``(B, C, T, H, W)``."""
        return self.backbone.forward_tokens(clips).tokens.mean(dim=1)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits ``(B, num_classes)`` of normalised clips ``(B, C, T, H, W)``."""
        return self.fc(self.norm(self.features(clips)))


def finetune(
    model: ClipClassifier,
    clips: np.ndarray,
    labels: Tensor,
    recipe: FineTuning,
    augment: Callable[[np.ndarray, np.random.Generator], Tensor],
    rng: np.random.Generator,
) -> None:
    """Train all of ``model``, in place, and leave it in evaluation mode.

    Args:
        model: What to train.
        clips: ``(M, ...)``, in whatever form ``augment`` takes them.
        labels: ``(M,)`` integers.
        recipe: How.
        augment: Turns ``B`` of the clips, and ``rng``, into inputs ``(B, C, T, H, W)``, normalised.
        rng: Of the order and the augmentation; dropped paths come from torch's.
    """
    batches_per_epoch = math.ceil(len(clips) / recipe.batch_size)
    num_steps = recipe.epochs * batches_per_epoch
    wrapper = build_optim_wrapper(model, recipe)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        wrapper.optimizer, lambda step: warmup_cosine(step, num_steps, recipe.warmup)
    )
    model.train()
    for _ in range(recipe.epochs):
        for index in np.array_split(rng.permutation(len(clips)), batches_per_epoch):
            logits = model(augment(clips[index], rng))
            loss = F.cross_entropy(logits, labels[index], label_smoothing=recipe.label_smoothing)
            wrapper.update_params(loss)
            scheduler.step()
    model.eval()


def warmup_cosine(step: int, num_steps: int, warmup: float) -> float:
    """Factor of the learning rate: linear to 1 over ``warmup * num_steps`` steps, cosine to 0."""
    num_warmup = warmup * num_steps
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    return 0.5 + 0.5 * math.cos(math.pi * (step - num_warmup) / (num_steps - num_warmup))


def build_optim_wrapper(model: ClipClassifier, recipe: FineTuning) -> OptimWrapper:
    """AdamW; vectors do not decay."""
    optimizer = dict(type='AdamW', lr=recipe.lr, weight_decay=recipe.weight_decay)
    wrapper = dict(
        type='OptimWrapper', optimizer=optimizer, clip_grad=dict(max_norm=recipe.max_norm)
    )
    return DecayGroupsConstructor(wrapper)(model)
