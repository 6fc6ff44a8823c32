"""Label propagation against DINO's released code and the dense affinity of all tokens."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmvidssl.evaluation import propagate_labels
from tests.references import dense_propagation
from tests.references.reference_figures import DATA


def make_video(num_frames, h, w, seed=0, dims=8, classes=3):
    """Features of a scene with noise in each frame, and labels of the first."""
    generator = torch.Generator().manual_seed(seed)
    scene = torch.randn(1, h * w, dims, generator=generator)
    features = scene + 0.5 * torch.randn(num_frames, h * w, dims, generator=generator)
    labels = torch.randint(classes, (h, w), generator=generator)
    return features, torch.nn.functional.one_hot(labels, classes).permute(2, 0, 1).float()


def test_labels_are_those_of_the_released_code():
    with np.load(DATA / 'evaluation_small.npz') as arrays:
        for given in (torch.from_numpy, np.array):
            out = propagate_labels(
                *(given(arrays[f'lp_{name}']) for name in ('features', 'first')),
                *(int(arrays[f'lp_{name}']) for name in ('last_frames', 'neighborhood', 'topk')),
                float(arrays['lp_temperature']),
            )
            assert type(out) is type(given(arrays['lp_segs']))
            np.testing.assert_allclose(out, arrays['lp_segs'], atol=1e-6)


@pytest.mark.parametrize(
    ('grid', 'num_context', 'radius', 'topk'),
    [
        ((23, 31), 7, 12, 5),
        ((1, 40), 2, 3, 5),
        ((25, 4), 0, 2, 1),
        ((11, 13), 3, 50, 5),  # no limit
        ((2, 2), 1, 1, 20),  # more neighbours than tokens
    ],
)
def test_labels_are_those_of_dense_affinity(grid, num_context, radius, topk):
    features, labels = make_video(6, *grid)
    options = num_context, radius, topk, 0.1
    out = propagate_labels(features, labels, *options)
    dense = dense_propagation.propagate_labels(features, labels, *options)
    torch.testing.assert_close(out, dense, atol=2e-6, rtol=0)
    torch.testing.assert_close(out.sum(dim=1), torch.ones_like(out[:, 0]))


def test_frames_that_are_copies():
    """Where more tokens than ``topk`` are as like as each other, all of them count."""
    features, labels = make_video(3, 7, 9)
    features = features[[0, 0, 0, 1, 0, 0, 2, 0, 0]]
    out = propagate_labels(features, labels, 7, 2, 3, 0.1)
    dense = dense_propagation.propagate_labels(features, labels, 7, 2, 3, 0.1)
    torch.testing.assert_close(out, dense, atol=1e-6, rtol=0)


def test_a_still_video_keeps_its_labels():
    features, labels = make_video(1, 6, 5)
    out = propagate_labels(features.expand(4, -1, -1), labels, 2, 3, 1, 0.1)
    torch.testing.assert_close(out, labels.expand(3, -1, -1, -1))
    assert propagate_labels(features, labels, 2, 3, 1, 0.1).shape == (0, 3, 6, 5)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements of a tensor that was made."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [out] if isinstance(out, torch.Tensor) else out
        self.numel = max(self.numel, *(t.untyped_storage().nbytes() // 4 for t in tensors))
        return out


def test_memory_grows_with_the_frame_not_with_its_square():
    for h, w in ((20, 30), (40, 60)):
        features, labels = make_video(3, h, w, dims=64)
        with LargestTensor() as ours:
            propagate_labels(features, labels, 2, 2, 5, 0.1)
        assert ours.numel == features.numel()
        with LargestTensor() as dense:
            dense_propagation.propagate_labels(features[:2], labels, 2, 2, 5, 0.1)
        assert dense.numel >= (h * w) ** 2


def test_bad_input():
    features, labels = make_video(2, 4, 5)
    options = (2, 2, 5, 0.1)
    with pytest.raises(ValueError, match=r'\(20, 8\)'):
        propagate_labels(features[0], labels, *options)
    with pytest.raises(ValueError, match=r'\(3, 4, 4\)'):
        propagate_labels(features, labels[..., 1:], *options)
    for i, bad in enumerate((-1, 0, 0, 0.0)):
        with pytest.raises(ValueError, match=f'{bad}'):
            propagate_labels(features, labels, *options[:i], bad, *options[i + 1 :])
