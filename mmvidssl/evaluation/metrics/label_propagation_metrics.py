"""Video object segmentation and tracking by propagated labels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from PIL import Image
from torch import Tensor

from mmvidssl.registry import METRICS
from mmvidssl.utils.atomic_file import atomic_path

from ..functional import box_overlap, davis_scores, propagate_labels, success_statistics

# Red, green and blue of each id by its bits from the lowest, as in PASCAL VOC and DAVIS.
PALETTE = [
    sum((i >> (3 * j + c) & 1) << (7 - j) for j in range(3)) for i in range(256) for c in range(3)
]


class LabelPropagationMetric(BaseMetric):
    """Base of metrics that propagate first-frame labels through a sequence by its features.

    Data samples have ``features`` ``(T, h, w, D)``, and of the frames ``name``, ``img_paths``,
    ``img_shape`` and ``ori_shape``.

    Args:
        num_context: Previous frames that labels come from, besides the first.
        radius: Largest distance, in tokens, that a label may move between frames.
        topk: Number of similar tokens whose labels are averaged.
        temperature: Temperature of their weights.
        out_dir: Folder for the predictions; None writes nothing.
        **kwargs: As in MMEngine's ``BaseMetric``.
    """

    def __init__(
        self,
        num_context: int = 7,
        radius: int = 12,
        topk: int = 5,
        temperature: float = 0.1,
        out_dir: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.options = num_context, radius, topk, temperature
        self.out_dir = None if out_dir is None else Path(out_dir)

    def name_of(self, sample: dict) -> str:
        """Name of a sequence with the path of the folder that contains it."""
        return str(Path(sample['img_paths'][0]).parents[1] / sample['name'])

    def propagate(self, sample: dict, first: Tensor) -> Iterator[Tensor]:
        """Labels ``(C, *img_shape)`` of frames after the first, from its ``(C, h, w)``."""
        features = sample['features'].flatten(1, 2)
        for labels in propagate_labels(features, first.to(features), *self.options):
            yield F.interpolate(labels[None], sample['img_shape'], mode='bilinear')[0]


@METRICS.register_module()
class DAVISMetric(LabelPropagationMetric):
    """J and F of semi-supervised segmentation on DAVIS, from given masks of the first frame.

    As in DINO's code, the first mask is sampled at the middle of every patch; propagated labels are
    upsampled bilinearly, scaled to [0, 1] by object, and the largest is taken.
    Data samples have ``masks`` as well (see ``LoadObjectMasks``). Masks are written as indexed
    PNGs, ``<out_dir>/<sequence>/<frame>.png``, which the official evaluation reads.

    Args:
        **kwargs: As in :class:`LabelPropagationMetric`.
    """

    default_prefix = 'davis'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Segment each sequence and score it."""
        for sample in data_samples:
            masks = self.segment(sample)
            if self.out_dir is not None:
                for path, mask in zip(sample['img_paths'], masks, strict=True):
                    write_mask(self.out_dir / sample['name'] / f'{Path(path).stem}.png', mask)
            scores = davis_scores(masks, sample['masks'].cpu().numpy())
            objects = {name: np.array(scores[name]) for name in scores if '-' in name}
            self.results.append(
                dict(
                    name=self.name_of(sample),
                    values={'J&F': scores['J&F'], **{k: v.mean() for k, v in objects.items()}},
                    objects={key: values.tolist() for key, values in objects.items()},
                )
            )

    def segment(self, sample: dict) -> np.ndarray:
        """Ids ``(T, H, W)`` of all frames, those of the first as given."""
        first = sample['masks'][0]
        first = first.where(first != 255, 0)
        grid = sample['features'].shape[1:3]
        small = F.interpolate(first[None, None].float(), grid, mode='nearest-exact')[0, 0].long()
        labels = F.one_hot(small, int(first.max()) + 1).permute(2, 0, 1)
        masks = [first]
        for soft in self.propagate(sample, labels):
            ids = _to_full_range(soft).argmax(dim=0)[None, None].float()
            masks.append(F.interpolate(ids, sample['ori_shape'], mode='nearest-exact')[0, 0])
        return np.stack([mask.to(torch.uint8).cpu().numpy() for mask in masks])

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Means over the objects of all sequences; ``J&F`` is that of both means."""
        found = {result['name']: result['objects'] for result in results}
        metrics = {
            key: float(np.mean(np.concatenate([found[name][key] for name in sorted(found)])))
            for key in results[0]['objects']
        }
        return {'J&F': (metrics['J-Mean'] + metrics['F-Mean']) / 2, **metrics}


def _to_full_range(labels: Tensor) -> Tensor:
    """Scale the labels ``(C, H, W)`` of each class to [0, 1], unless they are constant."""
    least, most = (part(labels, dim=(1, 2), keepdim=True) for part in (torch.amin, torch.amax))
    return torch.where(most > least, (labels - least) / (most - least), labels)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Ids ``(H, W)`` as an indexed PNG with the palette of DAVIS."""
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(PALETTE)
    with atomic_path(path) as temporary:
        image.save(temporary)


@METRICS.register_module()
class TrackingMetric(LabelPropagationMetric):
    """Object tracking by propagated labels: overlap of boxes by GOT-10k's rules.

    No published protocol tracks with frozen features; this is ours. A first-frame patch's label is
    the share of the patch inside the box. In later frames labels are upsampled bilinearly, and the
    box is that of the largest region above half their maximum; without one, the last box stays.
    Data samples have ``boxes`` and ``visible`` as well (see ``TrackingDataset``). Boxes are written
    as GOT-10k's toolkit does, ``<out_dir>/<sequence>/<sequence>_001.txt``, without times.

    Args:
        **kwargs: As in :class:`LabelPropagationMetric`.
    """

    default_prefix = 'tracking'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Track the object of each sequence and score it."""
        for sample in data_samples:
            name, boxes = sample['name'], self.track(sample)
            if self.out_dir is not None:
                with atomic_path(self.out_dir / name / f'{name}_001.txt') as path:
                    np.savetxt(path, boxes, fmt='%.3f', delimiter=',')
            result: dict[str, Any] = dict(
                name=self.name_of(sample), values={}, overlaps=[], visible=[]
            )
            if len(sample['boxes']) == len(boxes):  # GOT-10k withholds those of its test set
                result['overlaps'] = box_overlap(boxes, sample['boxes'], sample['ori_shape'][::-1])
                result['visible'] = [0, *sample['visible'][1:]]
                result['values'] = self.compute_metrics([result])
            self.results.append(result)

    def track(self, sample: dict) -> np.ndarray:
        """Boxes ``(T, 4)`` of all frames, the first as given."""
        boxes = [np.array(sample['boxes'][0])]
        x, y, w, h = boxes[0]
        left, top, right, bottom = (max(round(place), 0) for place in (x, y, x + w, y + h))
        inside = torch.zeros(1, *sample['ori_shape'])
        inside[:, top:bottom, left:right] = 1
        share = F.adaptive_avg_pool2d(inside, sample['features'].shape[1:3])
        scale = np.tile(np.divide(sample['ori_shape'], sample['img_shape'])[::-1], 2)
        for _, labels in self.propagate(sample, torch.cat([1 - share, share])):
            near = (labels > labels.max() / 2).byte().cpu().numpy()
            regions = cv2.connectedComponentsWithStats(near)[2][1:]  # x, y, w, h, pixels
            found = regions[regions[:, 4].argmax(), :4] * scale if len(regions) else boxes[-1]
            boxes.append(found)
        return np.stack(boxes)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """AO, SR50, SR75 over the frames of all sequences together that have true boxes."""
        found = {result['name']: result for result in results}
        overlaps, visible = (
            np.concatenate([[0], *(found[name][key] for name in sorted(found))])
            for key in ('overlaps', 'visible')
        )
        if not (visible > 0).any():
            return {}
        success = success_statistics(overlaps, visible)
        return {name: float(success[name]) for name in ('AO', 'SR50', 'SR75')}
