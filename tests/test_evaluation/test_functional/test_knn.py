"""Weighted k-NN against a naive loop."""

import math
import resource
from pathlib import Path

import pytest
import torch

from mmvidssl.evaluation import knn_accuracy, knn_classify


def naive_scores(train, labels, test, num_classes, k, temperature):
    """One test sample, one neighbour at a time."""
    rows = []
    for sample in test.tolist():
        similarities = []
        for other in train.tolist():
            dot = sum(a * b for a, b in zip(sample, other, strict=True))
            similarities.append(dot / (math.hypot(*sample) * math.hypot(*other)))
        order = sorted(range(len(similarities)), key=lambda i: -similarities[i])[:k]
        votes = [0.0] * num_classes
        for i in order:
            votes[labels[i]] += math.exp(similarities[i] / temperature)
        rows.append([vote / sum(votes) for vote in votes])
    return torch.tensor(rows)


@pytest.mark.parametrize('k', [1, 5, 40])
def test_scores_are_those_of_the_naive_loop(k):
    generator = torch.Generator().manual_seed(k)
    train = torch.randn(40, 6, generator=generator)
    labels = torch.randint(4, (40,), generator=generator)
    test = torch.randn(13, 6, generator=generator)
    scores = knn_classify(train, labels, test, 4, k=k, temperature=0.2, chunk_size=5)
    torch.testing.assert_close(scores, naive_scores(train, labels, test, 4, k, 0.2))


def test_memory_does_not_grow_with_the_classes():
    """One-hot labels of this bank would take 8 GB, and as much again in float32."""
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(size, 2, generator=generator) for size in (100_000, 3))
    labels = torch.randint(10_000, (100_000,), generator=generator)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, limit[1]))
    try:
        scores = knn_classify(train, labels, test, 10_000, k=3)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(3))


def test_votes_are_weighted():
    # Two far neighbours of class 0 against one of class 1 that is very near.
    train = torch.tensor([[0.6, 0.8], [0.6, -0.8], [1.0, 0.05]])
    scores = knn_classify(train, torch.tensor([0, 0, 1]), torch.tensor([[2.0, 0.0]]), 2, k=3)
    assert scores.argmax().item() == 1


def test_accuracy_counts_the_share_of_right_answers():
    train, labels = torch.eye(3), torch.tensor([0, 1, 2])
    test = torch.eye(3).repeat(2, 1)
    truth = torch.tensor([0, 1, 2, 0, 2, 1])
    assert knn_accuracy(train, labels, test, truth, 3, k=1) == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(train_features=torch.ones(4)), 'samples, dimensions'),
        (dict(test_features=torch.ones(2, 5)), '3 dimensions, test features 5'),
        (dict(test_features=torch.ones(0, 3)), 'at least one'),
        (dict(train_labels=torch.tensor([0, 1, 0])), '4 samples'),
        (dict(train_labels=torch.tensor([0.0, 1.0, 1.0, 0.0])), 'torch.float32'),
        (dict(train_labels=torch.tensor([0, 1, 2, 0])), 'got 2 for sample 2'),
        (dict(train_labels=torch.tensor([0, -1, 1, -1])), 'got -1 for sample 1'),
        (dict(k=0), 'got 0'),
        (dict(k=5), '4 training samples, got 5'),
        (dict(temperature=0.0), 'must be positive'),
    ],
)
def test_misfits_are_refused(change, message):
    arguments = dict(
        train_features=torch.ones(4, 3),
        train_labels=torch.tensor([0, 1, 1, 0]),
        test_features=torch.ones(2, 3),
        num_classes=2,
        k=2,
    )
    with pytest.raises(ValueError, match=message):
        knn_classify(**{**arguments, **change})


@pytest.mark.parametrize('wrong', [-1, 2])
def test_accuracy_refuses_labels_that_no_vote_can_give(wrong):
    features = torch.eye(3)
    labels = torch.tensor([0, 1, 1])
    with pytest.raises(ValueError, match=f'got {wrong} for sample 2'):
        knn_accuracy(features, labels, features, torch.tensor([0, 1, wrong]), 2, k=1)
