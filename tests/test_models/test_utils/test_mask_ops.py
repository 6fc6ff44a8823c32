import numpy as np
import pytest
import torch

from mmvidssl.models.utils import resize_mask, stack_masks
from mmvidssl.structures import VidSSLDataSample


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
    with pytest.raises(ValueError, match=r'window \(8, 7, 7\) does not fit the token grid'):
        resize_mask(random_mask(1, 8, 7, 7), grid)


def test_a_mask_without_time_is_refused():
    with pytest.raises(ValueError, match=r'window \(7, 7\)'):
        resize_mask(random_mask(1, 7, 7), (7, 7, 7))


def test_masks_are_stacked():
    masks = [random_mask(2, 3, 3), ~random_mask(2, 3, 3)]
    assert torch.equal(stack_masks([sample(m) for m in masks]), torch.stack(masks))


def test_samples_without_mask_are_refused():
    with pytest.raises(ValueError, match='1 of 2 data samples have no mask; put a CubeMask'):
        stack_masks([sample(random_mask(2, 3, 3)), sample(None)])
    for nothing in (None, []):
        with pytest.raises(ValueError, match='no mask'):
            stack_masks(nothing)


def test_different_windows_are_refused():
    with pytest.raises(ValueError, match=r'one window, got \[\(2, 3, 3\), \(2, 4, 4\)\]'):
        stack_masks([sample(random_mask(2, 3, 3)), sample(random_mask(2, 4, 4))])
