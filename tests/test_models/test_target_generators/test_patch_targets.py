import pytest
import torch
from torch import nn

from mmvidssl.models.target_generators.base import check_positive, patch_grid, target_frames
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, noise


@pytest.mark.parametrize('num_frames', [1, 2, 3, 4, 7, 16])
def test_the_centre_of_a_strided_patch_embedding(num_frames):
    """An embedding whose kernel is one in its centre picks the very frames."""
    embed = nn.Conv3d(1, 1, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0), bias=False)
    embed.weight.data.zero_()[:, :, 1] = 1
    clip = noise(2, 1, num_frames, 2, 3)
    assert torch.equal(target_frames(clip, 2), embed(clip).transpose(1, 2))


def test_images_are_clips_of_one_frame():
    images = noise(2, 3, 4, 6)
    assert torch.equal(target_frames(images, 2), target_frames(images.unsqueeze(2), 2))
    assert target_frames(images).shape == (2, 1, 3, 4, 6)


def test_nothing_is_copied():
    clip = noise(2, 3, 4, 4, 4)
    assert target_frames(clip, 2).data_ptr() == clip.data_ptr()


def test_patch_grid():
    assert patch_grid(noise(1, 32, 48), 16) == (2, 3)
    with pytest.raises(ValueError, match='16x16 pixels, .* 32x40'):
        patch_grid(noise(1, 32, 40), 16)


@pytest.mark.parametrize('kind', ['HOGGenerator', 'PixelGenerator'])
def test_all_frames_of_a_cube(kind):
    """The targets of the clips that begin with each of its frames, beside each other."""

    def build(frames):
        return MODELS.build(dict(type=f'mmvidssl.{kind}', temporal_stride=3, frames=frames))

    clip = noise(2, 3, 6, 32, 48)
    each = [build('center')(clip[:, :, start:]) for start in range(3)]
    target = build('all')(clip)
    assert torch.equal(target, torch.cat(each, dim=-1))
    assert target.shape == (2, 2 * 6, build('all').pred_channels)
    with pytest.raises(ValueError, match='3 frames each, .* the 1 '):
        build('all')(noise(2, 3, 32, 48))
    with pytest.raises(ValueError, match="got 'middle'"):
        build('middle')


def test_a_teacher_has_one_target_a_token():
    cfg = dict(type='mmvidssl.DeepFeatureGenerator', teacher=backbone_cfg(), frames='all')
    with pytest.raises(ValueError, match="Deep.* frames='center'"):
        MODELS.build(cfg)


def test_refuses():
    with pytest.raises(ValueError, match=r'\(3, 4, 4\)'):
        target_frames(noise(3, 4, 4))
    for wrong in (0, 1.5, '2'):
        with pytest.raises(ValueError, match=f'stride .* got {wrong!r}'):
            check_positive(size=2, stride=wrong)
