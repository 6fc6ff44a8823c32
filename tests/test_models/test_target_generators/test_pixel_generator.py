import pytest
import torch

from mmvidssl.registry import MODELS
from tests.utils_model import noise


def build(**changes):
    return MODELS.build({'type': 'mmvidssl.PixelGenerator', 'patch_size': 4, **changes})


def test_pixels_of_the_centre_frame():
    clip = noise(2, 3, 4, 8, 12)
    target = build()(clip).unflatten(1, (2, 2, 3)).unflatten(-1, (4, 4, 3))
    for t in range(2):
        for h in range(2):
            for w in range(3):
                patch = clip[:, :, 2 * t, 4 * h : 4 * h + 4, 4 * w : 4 * w + 4]
                assert torch.equal(target[:, t, h, w], patch.permute(0, 2, 3, 1))
    assert build().pred_channels == 48


def test_normalized_patches():
    clip = 3 * noise(2, 3, 2, 8, 8) + 5
    target = build(normalize='patch')(clip)
    torch.testing.assert_close(target.mean(-1), torch.zeros(2, 4), rtol=0, atol=1e-6)
    torch.testing.assert_close(target.var(-1), torch.ones(2, 4), rtol=0, atol=1e-4)
    assert not build(normalize='patch')(torch.ones(1, 3, 8, 8)).any()


def test_no_gradient_and_float32():
    target = build()(noise(1, 3, 2, 8, 8).bfloat16().requires_grad_())
    assert target.dtype == torch.float32 and not target.requires_grad
    # The target does not follow what becomes of the clip.
    images = noise(1, 3, 8, 8)
    target = build()(images)
    kept = target.clone()
    images.zero_()
    assert torch.equal(target, kept)


def test_refuses():
    with pytest.raises(ValueError, match="normalize .* 'image'"):
        build(normalize='image')
    with pytest.raises(ValueError, match='patches of 4x4 pixels'):
        build()(noise(1, 3, 2, 8, 10))
