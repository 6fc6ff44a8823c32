"""CorLoc of single-object discovery."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmvidssl.registry import METRICS

from ..functional import attention_box, corloc, lost_box, tokencut_box

METHODS = ('lost', 'tokencut', 'attention')


@METRICS.register_module()
class DiscoveryMetric(BaseMetric):
    """CorLoc in percent of LOST, of TokenCut and of the class token's own attention.

    Data samples have ``img_path``, ``boxes`` (x0, y0, x1, y1 of each object), ``key``
    ``(..., h, w, D)`` and ``attention`` ``(..., heads, h, w)``, of pictures padded right and below
    to whole patches; boxes that are found end where the picture does.

    Args:
        patch_size: Of the model.
        methods: Of these three.
        k: See :func:`lost_box`.
        tau: See :func:`tokencut_box`.
        threshold: See :func:`attention_box`.
        as_published: See there.
        head: Whose attention; None for the mean of all heads. Published for DINO with head 4.
        **kwargs: As in MMEngine's ``BaseMetric``.

    Raises:
        ValueError: if there is no such method, or the patches are of another size.
    """

    default_prefix = 'corloc'

    def __init__(
        self,
        patch_size: int,
        methods: Sequence[str] = METHODS,
        k: int = 100,
        tau: float = 0.2,
        threshold: float = 0.6,
        as_published: bool = True,
        head: int | None = 4,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if not methods or set(methods) - set(METHODS):
            raise ValueError(f'methods must be some of {METHODS}, got {methods}')
        self.patch_size, self.methods = patch_size, tuple(methods)
        self.k, self.tau, self.head = k, tau, head
        self.threshold, self.as_published = threshold, as_published

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Find a box in each picture by each method."""
        for pixels, sample in zip(data_batch['inputs'], data_samples, strict=True):
            key, attention = (sample[name].cpu() for name in ('key', 'attention'))
            key, attention = (part.reshape(part.shape[-3:]) for part in (key, attention))
            height, width = pixels.shape[-2:]
            grid = tuple(-(-side // self.patch_size) for side in (height, width))
            if tuple(key.shape[:2]) != grid:
                raise ValueError(
                    f'the model has {tuple(key.shape[:2])} patches of {height}x{width} pixels, '
                    f'which is not patch_size={self.patch_size}; test_evaluator.patch_size must '
                    'be model.backbone.patch_size'
                )
            values = {}
            for method in self.methods:
                box = np.minimum(self._find(method, key, attention), [width, height] * 2)
                values[method] = 100 * corloc([box], [sample['boxes']])
            self.results.append(dict(name=sample['img_path'], values=values))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """CorLoc by method."""
        values = {result['name']: result['values'] for result in results}.values()
        return {method: float(np.mean([v[method] for v in values])) for method in self.methods}

    def _find(self, method: str, key: Tensor, attention: Tensor) -> np.ndarray:
        if method == 'lost':
            return lost_box(key, self.k, self.patch_size)
        if method == 'tokencut':
            return tokencut_box(key, self.patch_size, self.tau)
        row = attention.mean(dim=0) if self.head is None else attention[self.head]
        return attention_box(row, self.patch_size, self.threshold, self.as_published)
