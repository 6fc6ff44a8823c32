"""CorLoc of single-object discovery."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmvidssl.registry import METRICS

from ..functional import attention_box, corloc, lost_box, tokencut_box


@METRICS.register_module()
class DiscoveryMetric(BaseMetric):
    """CorLoc in percent of LOST, TokenCut and the class token's attention.

    Data samples have ``img_path``, ``boxes`` (x0, y0, x1, y1 of each object), ``key``
    ``(..., h, w, D)`` and ``attention`` ``(..., heads, h, w)``, of pictures padded right and below
    to whole patches; found boxes are cut at the edge of the picture.

    Args:
        patch_size: Patch size of the model in pixels.
        k: See :func:`lost_box`.
        tau: See :func:`tokencut_box`.
        threshold: See :func:`attention_box`.
        as_published: See :func:`attention_box`.
        head: Attention head to use; None for the mean of all. Published for DINO with head 4.
        **kwargs: As in MMEngine's ``BaseMetric``.

    Raises:
        ValueError: if the model has patches of another size, or fewer heads.
    """

    default_prefix = 'corloc'

    def __init__(
        self,
        patch_size: int,
        k: int = 100,
        tau: float = 0.2,
        threshold: float = 0.6,
        as_published: bool = True,
        head: int | None = 4,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.patch_size, self.k, self.tau = patch_size, k, tau
        self.threshold, self.as_published, self.head = threshold, as_published, head

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Find a box in each picture by each method."""
        for pixels, sample in zip(data_batch['inputs'], data_samples, strict=True):
            height, width = pixels.shape[-2:]
            key, attention = (sample[name].cpu() for name in ('key', 'attention'))
            grid = tuple(-(-side // self.patch_size) for side in (height, width))
            if tuple(key.shape[-3:-1]) != grid:
                raise ValueError(
                    f'test_evaluator has patch_size={self.patch_size}, but the model '
                    f'{tuple(key.shape[-3:-1])} patches of {height}x{width} pixels; state its own'
                )
            found = self._find(key.reshape(key.shape[-3:]), attention.reshape(-1, *grid))
            values = {
                method: 100 * corloc([np.minimum(box, [width, height] * 2)], [sample['boxes']])
                for method, box in found.items()
            }
            self.results.append(dict(name=sample['img_path'], values=values))

    def _find(self, key: Tensor, attention: Tensor) -> dict[str, np.ndarray]:
        """Boxes by method."""
        if self.head is not None and self.head >= len(attention):
            raise ValueError(
                f'test_evaluator has head={self.head}, but the model has {len(attention)} heads, '
                'counted from 0; None takes the mean of all'
            )
        row = attention.mean(dim=0) if self.head is None else attention[self.head]
        return dict(
            lost=lost_box(key, self.k, self.patch_size),
            tokencut=tokencut_box(key, self.patch_size, self.tau),
            attention=attention_box(row, self.patch_size, self.threshold, self.as_published),
        )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Mean CorLoc over pictures, by method."""
        values = [*{result['name']: result['values'] for result in results}.values()]
        return {method: float(np.mean([v[method] for v in values])) for method in values[0]}
