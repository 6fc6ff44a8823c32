"""The protocols of configs/downstream, for a small backbone and small pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.config import Config

from mmvidssl.datasets.transforms import ClipResize
from mmvidssl.registry import TRANSFORMS

DOWNSTREAM = Path(__file__).parents[2] / 'configs/downstream'


class Data(NamedTuple):
    """What is evaluated on.

    Attributes:
        davis: Folder of DAVIS-2016; None leaves it out.
        davis_list: File in it that lists sequences, or their frames.
        short_side: To which frames are shrunk for label propagation, in pixels.
        pictures: Folder with ``train`` and ``val``, of a folder a class; None leaves it out.
    """

    davis: str | None
    davis_list: str
    short_side: int
    pictures: str | None

    def needs(self) -> list[Path]:
        """What must be there."""
        davis = [Path(self.davis, self.davis_list)] if self.davis else []
        return davis + [Path(self.pictures, part) for part in ('train', 'val') if self.pictures]


class Protocol(NamedTuple):
    """How to evaluate.

    Attributes:
        config: Below ``configs/downstream``.
        metric: What is taken of the result, and its name in the table.
        factor: To percent.
        adapt: Changes the config, given the data and the size of a training crop.
    """

    config: str
    metric: str
    name: str
    factor: float
    adapt: Callable[[Config, Data, int], None]

    def build(self, data: Data, backbone: dict) -> Config:
        """The config of a test of a backbone, of which sizes are taken."""
        cfg = Config.fromfile(DOWNSTREAM / self.config)
        sizes = {key: backbone[key] for key in ('arch', 'img_size', 'patch_size')}
        cfg.model.backbone.update(sizes)
        cfg.test_dataloader.num_workers = 0
        self.adapt(cfg, data, backbone['img_size'])
        return cfg


def _propagate(cfg: Config, data: Data, crop: int) -> None:
    """Of 480 lines it is the protocol itself; else what counts patches or pixels shrinks alike."""
    dataset, metric = cfg.test_dataloader.dataset, cfg.test_evaluator[0]
    dataset.update(data_root=data.davis, ann_file=data.davis_list)
    share = data.short_side / dataset.pipeline[0].short_side
    patch = cfg.model.backbone.patch_size
    divisor = max(1, round(share * dataset.pipeline[0].divisor / patch)) * patch
    dataset.pipeline[0].update(short_side=data.short_side, divisor=divisor)
    metric.update(out_dir=None, radius=max(1, round(share * metric.radius)))


def _classify(cfg: Config, data: Data, crop: int) -> None:
    """Pictures of the size of a training crop, shrunk in proportion."""
    for dataset in cfg.test_dataloader.dataset.datasets:
        dataset.data_root = data.pictures
        resize, cut = dataset.pipeline[1:3]
        resize.scale, cut.crop_size = round(resize.scale * crop / cut.crop_size), crop
    cfg.test_evaluator[0].k = [20]


@TRANSFORMS.register_module()
class ShrinkWithBoxes(BaseTransform):
    """Shrink a frame, and the boxes of its objects with it.

    **Modified Keys:** clip, boxes

    Args:
        scale: Of both, at most 1.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def transform(self, results: dict) -> dict:
        """Shrink one."""
        height, width = (round(n * self.scale) for n in results['clip'].shape[1:3])
        results['boxes'] = self.scale * np.asarray(results['boxes'], dtype=float)
        return ClipResize(size=(height, width))(results)


def _discover(cfg: Config, data: Data, crop: int) -> None:
    """Of whole frames, shrunk to as many patches as published ones have, which are of 16 pixels.

    Of attention, which is not reported, the mean of few heads.
    """
    dataset, patch = cfg.test_dataloader.dataset, cfg.model.backbone.patch_size
    dataset.update(data_root=data.davis, ann_file=data.davis_list)
    if patch != 16:
        dataset.pipeline.insert(1, dict(type='ShrinkWithBoxes', scale=patch / 16))
    cfg.test_evaluator[0].update(patch_size=patch, as_published=False, head=None)


PROTOCOLS = dict(
    davis=Protocol(
        'davis/vos_vit-small-p16_dora-wt-pre_davis2016.py', 'davis/J&F', 'J&F', 100, _propagate
    ),
    knn=Protocol(
        'imagenet/knn_vit-small-p16_dora-wt-pre_in1k.py', 'knn/top1_k20', 'k-NN', 1, _classify
    ),
    corloc=Protocol(
        'voc/discovery_vit-small-p16_dora-wt-pre_davis16.py', 'corloc/lost', 'CorLoc', 1, _discover
    ),
)


def protocols_for(data: Data) -> dict[str, Protocol]:
    """Those whose data are given."""
    given = dict(davis=data.davis, knn=data.pictures, corloc=data.davis)
    return {name: PROTOCOLS[name] for name, path in given.items() if path is not None}
