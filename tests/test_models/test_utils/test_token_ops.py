import numpy as np
import pytest
import torch

from mmvidssl.models.utils import (
    apply_masks,
    clip_to_frames,
    counted_generator,
    resize_mask,
    resize_pos_embed,
    shuffle_masks,
    stack_masks,
)
from mmvidssl.structures import VidSSLDataSample
from tests.utils_model import noise


def test_frames_of_clips_are_frame_major():
    clips = noise(2, 3, 4, 5, 6)  # B, C, T, H, W
    frames = clip_to_frames(clips)
    assert frames.shape == (4 * 2, 3, 5, 6)
    for t in range(4):
        for b in range(2):
            assert torch.equal(frames[t * 2 + b], clips[b, :, t])
    assert torch.equal(frames.unflatten(0, (4, 2))[3, 1], clips[1, :, 3])


def test_frames_of_views_come_view_by_view():
    views = noise(3, 2, 3, 4, 5, 6)  # V, B, C, T, H, W
    frames = clip_to_frames(views)
    assert torch.equal(frames, torch.cat([clip_to_frames(view) for view in views]))


@pytest.mark.parametrize('kind', ['hard', 'soft'])
def test_apply_masks_equals_the_loop(kind):
    clip = noise(2, 3, 2, 8, 12)  # B, C, T, H, W
    masks = torch.rand(3, 2, 2, 2, 3, generator=torch.Generator().manual_seed(0))  # O, B, T, h, w
    masks = masks > 0.5 if kind == 'hard' else masks
    masked = apply_masks(clip, masks)
    assert masked.shape == (3, 2, 3, 2, 8, 12)
    for o, b, t, y, x in np.ndindex(3, 2, 2, 8, 12):
        weight = masks[o, b, t, y // 4, x // 4].float()
        assert torch.equal(masked[o, b, :, t, y, x], clip[b, :, t, y, x] * weight)


def test_shuffled_masks_hold_the_same_values_elsewhere():
    masks = noise(2, 2, 5, 3, 4)  # soft, all different

    def shuffle(masks, *seeds):
        return shuffle_masks(masks, [torch.Generator().manual_seed(seed) for seed in seeds])

    shuffled = shuffle(masks, 0, 1)
    assert torch.equal(shuffled.flatten(-2).sort().values, masks.flatten(-2).sort().values)
    # each frame has its own order
    orders = [
        tuple((frame.flatten() == value).nonzero().item() for value in mask.flatten())
        for frame, mask in zip(shuffled.flatten(0, 2), masks.flatten(0, 2), strict=True)
    ]
    assert len(set(orders)) == 20
    # a clip's does not depend on the others
    assert torch.equal(shuffled[:, 1:], shuffle(masks[:, 1:], 1))


def test_resize_pos_embed_of_the_same_grid_is_the_same():
    pos_embed = noise(1, 1 + 4, 6)
    assert resize_pos_embed(pos_embed, (2, 2), (2, 2), offset=0.1) is pos_embed


def test_resize_pos_embed_keeps_extra_tokens_and_a_constant_grid():
    pos_embed = torch.cat((noise(1, 2, 6), torch.ones(1, 12, 6)), dim=1)
    resized = resize_pos_embed(pos_embed, (3, 4), (5, 2), num_extra_tokens=2)
    assert torch.equal(resized[:, :2], pos_embed[:, :2])
    torch.testing.assert_close(resized[:, 2:], torch.ones(1, 10, 6))


def test_resize_pos_embed_keeps_rows_and_columns_apart():
    ramp = torch.arange(4.0).repeat_interleave(4).view(1, 16, 1)  # the row number, grid 4 x 4
    pos_embed = torch.cat((torch.zeros(1, 1, 1), ramp), dim=1)
    grid = resize_pos_embed(pos_embed, (4, 4), (8, 2), mode='bilinear')[0, 1:, 0].view(8, 2)
    torch.testing.assert_close(grid[:, 0], grid[:, 1])
    assert (grid.diff(dim=0) >= 0).all()
    assert grid[-1, 0] - grid[0, 0] > 2


@pytest.mark.parametrize('offset', [0.0, 0.1])
def test_offset_moves_the_sampling_positions(offset):
    """Along a ramp, linear interpolation tells where it sampled (half-pixel centers)."""
    ramp = torch.arange(8.0).repeat(8).view(1, 64, 1)  # the column number
    pos_embed = torch.cat((torch.zeros(1, 1, 1), ramp), dim=1)
    row = resize_pos_embed(pos_embed, (8, 8), (4, 4), mode='bilinear', offset=offset)[0, 1:5, 0]
    expected = (torch.arange(4) + 0.5) * 8 / (4 + offset) - 0.5
    torch.testing.assert_close(row, expected)


def random_mask(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < 0.5


def sample(mask):
    data_sample = VidSSLDataSample()
    if mask is not None:
        data_sample.mask = mask
    return data_sample


def test_a_cell_covers_its_tokens():
    mask = random_mask(2, 4, 2, 3)
    resized = resize_mask(mask, (8, 8, 9))
    assert resized.shape == (2, 8, 8, 9) and resized.dtype == torch.bool
    for b, t, y, x in np.ndindex(*resized.shape):
        assert resized[b, t, y, x] == mask[b, t // 2, y // 4, x // 3]


def test_a_mask_of_the_grid_stays():
    mask = random_mask(1, 2, 3, 4)
    assert torch.equal(resize_mask(mask, (2, 3, 4)), mask)


@pytest.mark.parametrize('grid', [(8, 14, 15), (4, 14, 14), (8, 7, 13)])
def test_cells_that_end_inside_a_token_are_refused(grid):
    with pytest.raises(ValueError, match=r'window \(8, 7, 7\)'):
        resize_mask(random_mask(1, 8, 7, 7), grid)


def test_a_mask_without_time_is_refused():
    with pytest.raises(ValueError, match=r'window \(7, 7\)'):
        resize_mask(random_mask(1, 7, 7), (7, 7, 7))


def test_masks_are_stacked():
    masks = [random_mask(2, 3, 3), ~random_mask(2, 3, 3)]
    assert torch.equal(stack_masks([sample(m) for m in masks]), torch.stack(masks))


def test_samples_without_mask_are_refused():
    with pytest.raises(ValueError, match='1 of 2 .* CubeMask'):
        stack_masks([sample(random_mask(2, 3, 3)), sample(None)])
    for nothing in (None, []):
        with pytest.raises(ValueError, match='no mask'):
            stack_masks(nothing)


def test_different_windows_are_refused():
    with pytest.raises(ValueError, match=r'\[\(2, 3, 3\), \(2, 4, 4\)\]'):
        stack_masks([sample(random_mask(2, 3, 3)), sample(random_mask(2, 4, 4))])


def test_draws_follow_seed_and_count():
    draws = {
        (seed, count): torch.rand(3, generator=counted_generator(seed, count))
        for seed in (0, 1)
        for count in (0, 1)
    }
    for key, draw in draws.items():
        assert torch.equal(draw, torch.rand(3, generator=counted_generator(*key)))
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == 4
