"""Masking transforms: they draw which cells of a clip the model must predict.

Each **adds** ``mask``, np.bool_ ``(t, h, w)`` on the *mask window*, True = masked, and requires no
key (``rng`` is optional, :func:`generator_of`). The window is a coarse grid laid over the clip: the
model resizes the mask to its own tokens.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmvidssl.registry import TRANSFORMS

from .base import generator_of
from .block_placer import BlockPlacer, count_masked


class MaskTransform(BaseTransform):
    """Base class of the masking transforms."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A new mask, ``(t, h, w)`` bool."""

    def transform(self, results: dict) -> dict:
        """Add ``results['mask']``."""
        results['mask'] = self.draw(generator_of(results))
        return results


@TRANSFORMS.register_module()
class CubeMask(MaskTransform):
    """Mask blocks in space and time (MaskFeat, Sec. 4.3; its best mask).

    Blocks of random size and place are added until the next one would mask too much, so that
    ``round(mask_ratio * cells)`` is seldom met exactly and never passed: the default asks for 157
    of 392 cells, which 35 % of the masks have; the mean is 155.6.

    Differs from the reference: nothing in the default (PySlowFast's ``MaskingGenerator3D``);
    ``exact`` is ours.

    Args:
        mask_window: Cells ``(t, h, w)``.
        mask_ratio: Share of the cells to mask, in (0, 1).
        min_num_patches: Smallest block, in cells of one time step.
        max_num_patches: Largest block, in cells of one time step. A block lasts 1 to t steps.
        aspect_ratio: Range of a block's height / width, drawn log-uniformly.
        exact: Whether to mask random single cells until the number asked for is met.

    Raises:
        ValueError: settings with which no block can be placed.
    """

    def __init__(
        self,
        mask_window: Sequence[int] = (8, 7, 7),
        mask_ratio: float = 0.4,
        min_num_patches: int = 9,
        max_num_patches: int = 49,
        aspect_ratio: Sequence[float] = (0.3, 1 / 0.3),
        exact: bool = False,
    ) -> None:
        self.placer = BlockPlacer(
            check_window(mask_window, 'thw'),
            mask_ratio,
            min_num_patches,
            max_num_patches,
            aspect_ratio,
            num_tries=100,
        )
        self.exact = exact

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A mask ``(t, h, w)``."""
        return self.placer.draw_mask(rng, self.exact)


@TRANSFORMS.register_module()
class BlockMask(MaskTransform):
    """Mask blocks of an image (BEiT, Algorithm 1; MaskFeat on images).

    The default asks for 78 of 196 cells, which 70 % of the masks have; the mean is 77.6.

    Differs from the reference: nothing in the default (PySlowFast's ``MaskingGenerator``);
    ``exact`` is ours.

    Args:
        mask_window: Cells ``(h, w)``; the mask is ``(1, h, w)``.
        mask_ratio: Share of the cells to mask, in (0, 1).
        min_num_patches: Smallest block, in cells; ``None`` for a fifth of the number to mask.
        max_num_patches: Largest block, in cells; ``None`` for the number to mask.
        aspect_ratio: Range of a block's height / width, drawn log-uniformly.
        exact: Whether to mask random single cells until the number asked for is met.

    Raises:
        ValueError: settings with which no block can be placed.
    """

    def __init__(
        self,
        mask_window: Sequence[int] = (14, 14),
        mask_ratio: float = 0.4,
        min_num_patches: int | None = None,
        max_num_patches: int | None = None,
        aspect_ratio: Sequence[float] = (0.3, 1 / 0.3),
        exact: bool = False,
    ) -> None:
        height, width = check_window(mask_window, 'hw')
        num_masked = count_masked(height * width, mask_ratio)
        self.placer = BlockPlacer(
            (1, height, width),
            mask_ratio,
            max(1, num_masked // 5) if min_num_patches is None else min_num_patches,
            num_masked if max_num_patches is None else max_num_patches,
            aspect_ratio,
            num_tries=10,
            shrink_to_rest=True,
        )
        self.exact = exact

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A mask ``(1, h, w)``."""
        return self.placer.draw_mask(rng, self.exact)


@TRANSFORMS.register_module()
class TubeMask(BlockMask):
    """Mask the same blocks at all times (MaskFeat, Sec. 4.3).

    Differs from the reference: PySlowFast takes a window ``(h, w)`` and repeats it 8 times.

    Args:
        mask_window: Cells ``(t, h, w)``.
        mask_ratio: Share of the cells to mask, in (0, 1).
        **kwargs: As in :class:`BlockMask`, counted in cells of one time step.
    """

    def __init__(
        self, mask_window: Sequence[int] = (8, 7, 7), mask_ratio: float = 0.4, **kwargs
    ) -> None:
        self.num_steps, *window = check_window(mask_window, 'thw')
        super().__init__(window, mask_ratio, **kwargs)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A mask ``(t, h, w)``."""
        return super().draw(rng).repeat(self.num_steps, axis=0)


@TRANSFORMS.register_module()
class FrameMask(BlockMask):
    """Mask each time step by itself, with blocks of its own (MaskFeat, Sec. 4.3.1).

    Consecutive steps mostly have different blocks, so that a model can interpolate between them.

    Differs from the reference: PySlowFast's ``MASK_FRAMES`` masks all of some time steps instead,
    which ``whole=True`` does.

    Args:
        mask_window: Cells ``(t, h, w)``.
        mask_ratio: Share of the cells of each step to mask, or of the steps if ``whole``.
        whole: Mask all of ``round(mask_ratio * t)`` steps and nothing else.
        **kwargs: As in :class:`BlockMask`, counted in cells of one time step; without ``whole``.
    """

    def __init__(
        self,
        mask_window: Sequence[int] = (8, 7, 7),
        mask_ratio: float = 0.4,
        whole: bool = False,
        **kwargs,
    ) -> None:
        self.window = check_window(mask_window, 'thw')
        self.num_masked = count_masked(self.window[0], mask_ratio, 'time steps') if whole else None
        if not whole:
            super().__init__(self.window[1:], mask_ratio, **kwargs)
        elif kwargs:
            raise ValueError(
                f'FrameMask(whole=True) places no blocks and takes no {sorted(kwargs)}'
            )

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A mask ``(t, h, w)``."""
        if self.num_masked is None:
            return np.concatenate([super(FrameMask, self).draw(rng) for _ in range(self.window[0])])
        mask = np.zeros(self.window, dtype=np.bool_)
        mask[rng.choice(len(mask), self.num_masked, replace=False)] = True
        return mask


@TRANSFORMS.register_module()
class RandomMask(MaskTransform):
    """Mask single cells, each as likely as the others; ``round(mask_ratio * cells)`` of them.

    Args:
        mask_window: Cells ``(t, h, w)``; t = 1 for images.
        mask_ratio: Share of the cells to mask, in (0, 1).
    """

    def __init__(self, mask_window: Sequence[int] = (8, 7, 7), mask_ratio: float = 0.4) -> None:
        self.window = check_window(mask_window, 'thw')
        self.num_masked = count_masked(math.prod(self.window), mask_ratio)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A mask ``(t, h, w)``."""
        order = rng.permutation(math.prod(self.window))
        return (order < self.num_masked).reshape(self.window)


def check_window(window: Sequence[int], sides: str) -> tuple[int, ...]:
    """Check a mask window: one positive int for each letter of ``sides``."""
    window = tuple(window)
    if len(window) != len(sides) or not all(isinstance(n, int) and n > 0 for n in window):
        raise ValueError(
            f'mask_window must be {len(sides)} positive ints ({", ".join(sides)}), got {window}'
        )
    return window
