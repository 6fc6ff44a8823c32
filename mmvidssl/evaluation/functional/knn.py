"""Weighted nearest-neighbour classification of frozen features (DINO, section 4.1)."""

import torch
import torch.nn.functional as F

from .labels import check_labels


def knn_classify(
    train_features: torch.Tensor,
    train_labels: torch.Tensor,
    test_features: torch.Tensor,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    chunk_size: int = 1024,
) -> torch.Tensor:
    """Weighted k-NN: each test sample's ``k`` nearest training samples vote for their class.

    Nearness is cosine similarity ``s``; a neighbour's vote has the weight ``exp(s / temperature)``.

    Args:
        train_features: ``(M, D)``; L2-normalised here.
        train_labels: ``(M,)`` integers in ``[0, num_classes)``.
        test_features: ``(N, D)``; L2-normalised here.
        num_classes: Number of classes.
        k: Number of neighbours, at most ``M``.
        temperature: Softness of the vote.
        chunk_size: Test samples compared at a time. It bounds the memory (of the normalised bank
            and ``chunk_size`` rows of similarities) and does not change the result.

    Returns:
        ``(N, num_classes)``: the classes' shares of the votes, each row summing to 1.

    Raises:
        ValueError: If shapes, labels, ``k`` or ``temperature`` do not fit.
    """
    _check(train_features, train_labels, test_features, num_classes, k, temperature)
    bank = F.normalize(train_features, dim=1)
    labels = train_labels.long()
    scores = [
        _vote(F.normalize(chunk, dim=1) @ bank.T, labels, num_classes, k, temperature)
        for chunk in test_features.split(chunk_size)
    ]
    return torch.cat(scores)


def _vote(
    similarity: torch.Tensor, labels: torch.Tensor, num_classes: int, k: int, temperature: float
) -> torch.Tensor:
    """``(n, M)`` similarities and ``(M,)`` labels to ``(n, num_classes)`` shares."""
    nearest, index = similarity.topk(k, dim=1)
    weights = (nearest / temperature).softmax(dim=1)  # the sum cancels in the shares
    shares = weights.new_zeros(len(weights), num_classes)
    return shares.scatter_add_(1, labels[index], weights)


def _check(train_features, train_labels, test_features, num_classes, k, temperature) -> None:
    if train_features.ndim != 2 or test_features.ndim != 2:
        raise ValueError(
            f'features must be (samples, dimensions), got {tuple(train_features.shape)} for '
            f'training and {tuple(test_features.shape)} for testing'
        )
    if train_features.shape[1] != test_features.shape[1]:
        raise ValueError(
            f'training features have {train_features.shape[1]} dimensions, '
            f'test features {test_features.shape[1]}'
        )
    if not len(train_features) or not len(test_features):
        raise ValueError('k-NN needs at least one training and one test sample')
    check_labels(train_labels, train_features, num_classes)
    if not 1 <= k <= len(train_features):
        raise ValueError(
            f'k must lie between 1 and the {len(train_features)} training samples, got {k}'
        )
    if temperature <= 0:
        raise ValueError(f'temperature must be positive, got {temperature}')


def knn_accuracy(
    train_features: torch.Tensor,
    train_labels: torch.Tensor,
    test_features: torch.Tensor,
    test_labels: torch.Tensor,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """Share in ``[0, 1]`` of test samples for which :func:`knn_classify` puts their label first.

    Raises:
        ValueError: As there; test labels must be of known classes as well.
    """
    check_labels(test_labels, test_features, num_classes)
    scores = knn_classify(train_features, train_labels, test_features, num_classes, k, temperature)
    return (scores.argmax(dim=1) == test_labels).double().mean().item()
