import pytest
import torch
import torch.nn.functional as F

from mmvidssl.evaluation import fit_linear_probe, select_linear_probe


def blobs(num, spread=1.0, seed=0):
    """Three classes around corners of a triangle, in five dimensions of different scale."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 3
    centres = torch.tensor([[2.0, 0, 0, 0, 0], [-1, 1.7, 0, 0, 0], [-1, -1.7, 0, 0, 0]])
    noise = torch.randn(num, 5, generator=generator) * spread
    return (centres[labels] + noise) * torch.tensor([1.0, 100, 0.01, 1, 1]) + 7, labels


@pytest.mark.parametrize(('num_dims', 'num_classes'), [(5, 3), (80, 3), (5, 2)])
def test_is_the_minimum_of_the_objective(num_dims, num_classes):
    features, labels = blobs(60, spread=2.0)
    labels = labels % num_classes
    if num_dims > 5:  # than samples
        generator = torch.Generator().manual_seed(1)
        features = features @ torch.randn(5, num_dims, generator=generator)
        features = features + torch.randn(60, num_dims, generator=generator)
    probe = fit_linear_probe(features, labels, num_classes, penalty=0.01)
    weight, bias = probe.weight.double().requires_grad_(), probe.bias.double().requires_grad_()
    inputs = (features - features.mean(0)) / features.std(0, correction=0)
    loss = F.cross_entropy(inputs.double() @ weight + bias, labels) + 0.005 * (weight**2).sum()
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 1e-4
    assert torch.allclose(probe.predict(features), inputs @ probe.weight + probe.bias, atol=1e-4)


def test_separates_blobs_whatever_their_scale():
    probe = fit_linear_probe(*blobs(90, spread=0.2), 3, penalty=1e-3)
    assert probe.accuracy(*blobs(300, spread=0.2, seed=1)) > 0.99
    features, labels = blobs(300, spread=0.2, seed=1)
    assert probe.accuracy(features, (labels + 1) % 3) < 0.01


def test_constant_feature_is_harmless():
    features, labels = blobs(30, spread=0.2)
    features[:, 3] = 5.0
    assert fit_linear_probe(features, labels, 3, 1e-3).predict(features).isfinite().all()


@pytest.mark.parametrize('present', [(0, 1, 3), (1, 3)])
def test_classes_without_a_sample_are_never_given(present):
    features, labels = blobs(90, spread=0.2)
    kept = labels < len(present)
    features, labels = features[kept], torch.tensor(present)[labels[kept]]
    probe = fit_linear_probe(features, labels, 5, 1e-3)
    assert probe.accuracy(features, labels) == 1
    assert probe.predict(features)[:, [2, 4]].isneginf().all()


def test_penalty_is_chosen_by_validation():
    train, val = blobs(12, spread=1.5), blobs(300, spread=1.5, seed=1)
    penalties = (1e-6, 1e-2, 1.0)
    chosen = select_linear_probe(train, val, 3, penalties)
    accuracies = {p: fit_linear_probe(*train, 3, p).accuracy(*val) for p in penalties}
    assert len(set(accuracies.values())) > 1
    assert accuracies[chosen.penalty] == max(accuracies.values())


def test_of_equals_the_largest_penalty_is_taken():
    train, val = blobs(90, spread=0.1), blobs(90, spread=0.1, seed=1)
    assert select_linear_probe(train, val, 3, (1e-2, 1e-4, 1e-3)).penalty == 1e-2


NONE = torch.zeros(100_001, dtype=torch.long)  # all of one class


@pytest.mark.parametrize(
    ('features', 'labels', 'penalty', 'message'),
    [
        (torch.ones(3), NONE[:3], 1.0, 'features'),
        (torch.ones(3, 2), NONE[:4], 1.0, '3 samples'),
        (torch.ones(0, 2), NONE[:0], 1.0, 'two classes'),
        (torch.ones(3, 2), NONE[:3], 1.0, 'two classes'),
        (torch.ones(1, 2).expand(100_001, 2), NONE, 1.0, '100001.* SGD'),
        (torch.ones(3, 2), torch.tensor([0, 1, 2]), 1.0, 'got 2 for sample 2'),
        (torch.ones(3, 2), torch.tensor([0, 1, 1]), 0.0, 'penalty'),
    ],
)
def test_refuses(features, labels, penalty, message):
    with pytest.raises(ValueError, match=message):
        fit_linear_probe(features, labels, 2, penalty)


def test_accuracy_refuses_unlabelled_samples():
    features, labels = blobs(30)
    probe = fit_linear_probe(features, labels, 3, 1e-2)
    labels[4] = -1
    with pytest.raises(ValueError, match='got -1 for sample 4'):
        probe.accuracy(features, labels)
