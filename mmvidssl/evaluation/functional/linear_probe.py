"""Linear classification of frozen features."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_ITERS = 200


class LinearProbe(NamedTuple):
    """A linear classifier of standardised features.

    Attributes:
        mean: ``(D,)`` of the training features.
        std: ``(D,)``, likewise.
        weight: ``(D, num_classes)``.
        bias: ``(num_classes,)``.
        penalty: That it was fitted with.
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
        return (self.predict(features).argmax(dim=1) == labels).double().mean().item()


def fit_linear_probe(
    features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float
) -> LinearProbe:
    """Multinomial logistic regression on standardised features.

    Minimises the mean cross-entropy plus ``penalty / 2`` times the squared norm of the weights (not
    of the bias), by L-BFGS from zero: no randomness.

    Args:
        features: ``(M, D)``.
        labels: ``(M,)`` integers in ``[0, num_classes)``.
        num_classes: Number of classes.
        penalty: Positive.

    Raises:
        ValueError: if shapes, labels or the penalty do not fit.
    """
    _check(features, labels, num_classes, penalty)
    features = features.detach().double()
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0).clamp_min(1e-6)
    inputs = (features - mean) / std
    basis = None
    if inputs.shape[1] > len(inputs):
        # Weights outside the span of the inputs would only add to the penalty.
        basis, triangle = torch.linalg.qr(inputs.T)
        inputs = triangle.T
    weight, bias = _minimize(inputs, labels.long(), num_classes, penalty)
    weight = weight if basis is None else basis @ weight
    return LinearProbe(mean.float(), std.float(), weight.float(), bias.float(), penalty)


def _minimize(
    inputs: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights ``(D, num_classes)`` and bias of the smallest penalised cross-entropy."""
    weight = inputs.new_zeros(inputs.shape[1], num_classes, requires_grad=True)
    bias = inputs.new_zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MAX_ITERS, line_search_fn='strong_wolfe')

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(inputs @ weight + bias, labels)
        loss = loss + penalty / 2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return weight.detach(), bias.detach()


def select_linear_probe(
    train: tuple[torch.Tensor, torch.Tensor],
    val: tuple[torch.Tensor, torch.Tensor],
    num_classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> LinearProbe:
    """The probe, of one for each penalty, that does best on validation data.

    Args:
        train: Features ``(M, D)`` and labels ``(M,)``.
        val: Features ``(N, D)`` and labels ``(N,)``.
        num_classes: Number of classes.
        penalties: To try, see :func:`fit_linear_probe`; of equals the largest is taken.
    """
    probes = [fit_linear_probe(*train, num_classes, penalty) for penalty in sorted(penalties)]
    return max(reversed(probes), key=lambda probe: probe.accuracy(*val))


def _check(features: torch.Tensor, labels: torch.Tensor, num_classes: int, penalty: float) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(features):
        raise ValueError(
            'a linear probe needs features (M, D) and labels (M,), at least one, got '
            f'{tuple(features.shape)} and {tuple(labels.shape)}'
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f'labels must lie in [0, {num_classes}), got [{int(labels.min())}, {int(labels.max())}]'
        )
    if penalty <= 0:
        raise ValueError(f'penalty must be positive, got {penalty}')
