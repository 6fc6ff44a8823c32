"""Masking a window with blocks (BEiT, Algorithm 1, and its extension to time by MaskFeat)."""

import math
from collections.abc import Sequence

import numpy as np

from .base import check_range

Block = tuple[slice, slice, slice]


def count_masked(num_cells: int, mask_ratio: float, what: str = 'cells') -> int:
    """``round(mask_ratio * num_cells)``, refused if it is none or all of them."""
    if not 0 < mask_ratio < 1:
        raise ValueError(f'mask_ratio must be in (0, 1), got {mask_ratio}')
    num_masked = round(mask_ratio * num_cells)
    if not 0 < num_masked < num_cells:
        raise ValueError(
            f'mask_ratio={mask_ratio} of {num_cells} {what} rounds to {num_masked}: '
            f'{"nothing" if num_masked == 0 else "everything"} would be masked. Use a larger '
            'mask_window or another mask_ratio.'
        )
    return num_masked


class BlockPlacer:
    """Draw block-wise masks: place blocks one by one until the next would mask too much.

    A block's area is uniform and its shape log-uniform, both rounded to whole cells; it lasts from
    1 step to all, uniformly, and each place is equally likely. It is placed if it is narrower and
    lower than the window and masks at least one new cell but no more than are still to be masked;
    otherwise another is drawn. A mask is finished when it has ``num_masked`` cells, or when
    ``num_tries`` blocks in a row could not be placed.

    Args:
        window: Cells ``(t, h, w)``.
        mask_ratio: Share of the cells to mask.
        min_num_patches: Smallest block, in cells of one step.
        max_num_patches: Largest block, in cells of one step.
        aspect_ratio: Range of height / width.
        num_tries: Draws for one block.
        shrink_to_rest: Whether the largest block shrinks to what is still to be masked.

    Raises:
        ValueError: settings with which no block can be placed.
    """

    def __init__(
        self,
        window: Sequence[int],
        mask_ratio: float,
        min_num_patches: int,
        max_num_patches: int,
        aspect_ratio: Sequence[float],
        num_tries: int,
        shrink_to_rest: bool = False,
    ) -> None:
        self.window = tuple(window)
        self.num_masked = count_masked(math.prod(window), mask_ratio)
        if not 1 <= min_num_patches <= max_num_patches:
            raise ValueError(
                'blocks need 1 <= min_num_patches <= max_num_patches, got '
                f'{min_num_patches} and {max_num_patches}'
            )
        self.areas = (min_num_patches, max_num_patches)
        low, high = check_range('aspect_ratio', aspect_ratio)
        self.log_aspect_ratio = (math.log(low), math.log(high))
        self.num_tries = num_tries
        self.shrink_to_rest = shrink_to_rest
        self._check_that_blocks_fit()

    def _check_that_blocks_fit(self) -> None:
        rng = np.random.default_rng(0)
        if not any(self._find_block(np.zeros(self.window, bool), rng) for _ in range(100)):
            _, height, width = self.window
            low, high = map(math.exp, self.log_aspect_ratio)
            raise ValueError(
                f'no block can be placed: it takes {self.areas[0]} to {self.areas[1]} cells of one '
                f'step (min_num_patches, max_num_patches) with height / width in [{low:.2g}, '
                f'{high:.2g}], at most {height - 1} x {width - 1} of mask_window={self.window} and '
                f'no more than the {self.num_masked} cells to mask. Use a smaller min_num_patches '
                'or a larger mask_window.'
            )

    def draw_mask(self, rng: np.random.Generator, exact: bool) -> np.ndarray:
        """A mask, np.bool_ ``window``; with ``exact`` filled up with random single cells."""
        mask, blocks = self.place_blocks(rng)
        while not blocks:  # an empty mask has no loss
            mask, blocks = self.place_blocks(rng)
        if exact:
            free = np.flatnonzero(~mask)
            num_missing = self.num_masked - np.count_nonzero(mask)
            mask.flat[rng.choice(free, num_missing, replace=False)] = True
        return mask

    def place_blocks(self, rng: np.random.Generator) -> tuple[np.ndarray, list[Block]]:
        """A mask, np.bool_ ``window``, and the blocks (slices in t, h, w) it consists of."""
        mask = np.zeros(self.window, dtype=np.bool_)
        blocks: list[Block] = []
        while np.count_nonzero(mask) < self.num_masked:
            block = self._find_block(mask, rng)
            if block is None:
                break
            mask[block] = True
            blocks.append(block)
        return mask, blocks

    def _find_block(self, mask: np.ndarray, rng: np.random.Generator) -> Block | None:
        rest = self.num_masked - int(np.count_nonzero(mask))
        for _ in range(self.num_tries):
            block = self._draw_block(rest, rng)
            if block is not None:
                covered = mask[block]
                if 0 < covered.size - np.count_nonzero(covered) <= rest:
                    return block
        return None

    def _draw_block(self, rest: int, rng: np.random.Generator) -> Block | None:
        """A block at a random place, or None if it is as high or wide as the window."""
        smallest, largest = self.areas
        if self.shrink_to_rest:
            largest = min(largest, rest)  # may fall below `smallest`, as in the reference
        # One call for all: a call costs more than what it draws.
        area, shape, steps, *places = rng.random(6).tolist()
        area = smallest + (largest - smallest) * area
        low, high = self.log_aspect_ratio
        aspect_ratio = math.exp(low + (high - low) * shape)
        height = round(math.sqrt(area * aspect_ratio))
        width = round(math.sqrt(area / aspect_ratio))
        if height >= self.window[1] or width >= self.window[2]:
            return None
        sides = (1 + int(steps * self.window[0]), height, width)
        in_time, in_rows, in_columns = map(_place, sides, self.window, places)
        return in_time, in_rows, in_columns


def _place(side: int, whole: int, place: float) -> slice:
    """Slice of ``side`` cells out of ``whole``; ``place`` in [0, 1) chooses its start."""
    start = int(place * (whole - side + 1))
    return slice(start, start + side)
