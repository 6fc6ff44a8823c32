"""Linear classification of frozen features."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from .labels import check_labels

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_ITERS = 1000
MAX_SAMPLES = 100_000


class LinearProbe(NamedTuple):
    """A linear classifier of standardised features.

    Attributes:
        mean: ``(D,)`` of the training features.
        std: ``(D,)`` of the training features.
        weight: ``(D, num_classes)``.
        bias: ``(num_classes,)``; -inf for classes without a training sample.
        penalty: Penalty that it was fitted with.
    """

    mean: torch.Tensor
    std: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    penalty: float

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of features ``(N, D)``."""
        return (features - self.mean) / self.std @ self.weight + self.bias

    def accuracy(self, features: torch.Tensor, labels: torch.Tensor) -> float:
        """Share in ``[0, 1]`` of features ``(N, D)`` that are given their label ``(N,)``."""
        check_labels(labels, features, len(self.bias))
        return (self.predict(features).argmax(dim=1) == labels).double().mean().item()


def fit_linear_probe(
    features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float
) -> LinearProbe:
    """Multinomial logistic regression on standardised features, by scikit-learn.

    Minimises the mean cross-entropy plus ``penalty / 2`` times the squared norm of the weights (not
    of the bias), by L-BFGS from zero: no randomness.

    Args:
        features: ``(M, D)``, at most 100,000 samples. For more (ImageNet), train a linear head by
            SGD, as ``configs/downstream/imagenet`` does.
        labels: ``(M,)`` integers in ``[0, num_classes)``, of two classes at least.
        num_classes: Number of classes.
        penalty: Positive.

    Raises:
        ValueError: if shapes, labels, the number of samples or the penalty do not fit.
    """
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    _check(features, labels, num_classes, penalty)
    inputs = features.detach().double().cpu()
    mean, std = inputs.mean(dim=0), inputs.std(dim=0, correction=0).clamp_min(1e-6)
    inputs = (inputs - mean) / std
    # scikit-learn weighs the cross-entropy, not the penalty. Of two classes it fits the difference
    # of their weights, whose squared norm is twice that of both.
    is_binary = len(labels.unique()) == 2
    strength = (2 if is_binary else 1) / (penalty * len(inputs))
    solver = LogisticRegression(C=strength, tol=1e-6, max_iter=MAX_ITERS)
    solver.fit(inputs.numpy(), labels.cpu().numpy())
    fitted, offset = solver.coef_, solver.intercept_
    if is_binary:
        fitted, offset = (np.concatenate((-part, part)) / 2 for part in (fitted, offset))
    weight = torch.zeros(inputs.shape[1], num_classes)
    weight[:, solver.classes_] = torch.from_numpy(fitted.T).float()
    bias = torch.full((num_classes,), -torch.inf)
    bias[solver.classes_] = torch.from_numpy(offset).float()
    device = features.device
    mean, std = mean.float().to(device), std.float().to(device)
    return LinearProbe(mean, std, weight.to(device), bias.to(device), penalty)


def select_linear_probe(
    train: tuple[torch.Tensor, torch.Tensor],
    val: tuple[torch.Tensor, torch.Tensor],
    num_classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> LinearProbe:
    """Fit a probe for each penalty and return the one most accurate on validation data.

    Args:
        train: Features ``(M, D)`` and labels ``(M,)``.
        val: Features ``(N, D)`` and labels ``(N,)``.
        num_classes: Number of classes.
        penalties: Penalties to try (:func:`fit_linear_probe`); in a tie the largest is taken.
    """
    probes = [fit_linear_probe(*train, num_classes, penalty) for penalty in sorted(penalties)]
    return max(reversed(probes), key=lambda probe: probe.accuracy(*val))


def _check(features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float) -> None:
    if features.ndim != 2:
        raise ValueError(f'a linear probe needs features (M, D), got {tuple(features.shape)}')
    check_labels(labels, features, num_classes)
    if len(features) > MAX_SAMPLES:
        raise ValueError(
            f'a linear probe is fitted on {MAX_SAMPLES} samples at most, got {len(features)}; '
            'train a linear head by SGD, as configs/downstream/imagenet does'
        )
    classes = labels.unique().tolist()
    if len(classes) < 2:
        raise ValueError(f'a linear probe needs samples of two classes at least, got {classes}')
    if penalty <= 0:
        raise ValueError(f'penalty must be positive, got {penalty}')
