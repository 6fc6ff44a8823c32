"""Jaccard index of the best tracked object against the true masks of DAVIS."""

import os
from pathlib import Path

import cv2
import numpy as np
from torch import nn

from mmvidssl.apis import track_objects
from mmvidssl.datasets.frame_folders import list_frames
from mmvidssl.datasets.readers.image import read_image
from mmvidssl.datasets.transforms.frame_folders import read_object_mask
from mmvidssl.evaluation import region_similarity
from mmvidssl.utils.progress import progress

NUM_FRAMES = 12  # evenly spread over the FIRST_FRAMES
FIRST_FRAMES = 40
NUM_PATCHES = 14  # along the short side of the resized frames
AREA = 0.2  # share of a frame that a tracked mask fills; DAVIS' objects fill less


class ObjectJaccard:
    """Mean, over sequences of DAVIS, of the Jaccard index of the best tracked object.

    Objects are found in the first frame and tracked through ``NUM_FRAMES``. An object's mask is the
    share ``AREA`` of patches with the highest weights in its map: what is compared is where objects
    are, not how many patches a threshold leaves. Masks are enlarged to the size of the true mask,
    all of whose ids count as one object. The best object has the highest mean over the clip.

    Args:
        davis: Folder of DAVIS, with ``JPEGImages/480p`` and ``Annotations/480p``.

    Raises:
        FileNotFoundError: If there are no masks, or a frame or a mask is missing; names it.
    """

    def __init__(self, davis: str | os.PathLike) -> None:
        self.sequences: list[tuple[list[Path], list[Path]]] = []
        annotations = Path(davis, 'Annotations', '480p')
        for folder in sorted(path for path in annotations.glob('*') if path.is_dir()):
            frames = list_frames(Path(davis, 'JPEGImages', '480p', folder.name))[:FIRST_FRAMES]
            chosen = np.linspace(0, len(frames) - 1, NUM_FRAMES).round().astype(int)
            frames = [frames[i] for i in chosen]
            masks = [folder / f'{frame.stem}.png' for frame in frames]
            for mask in masks:
                if not mask.is_file():
                    raise FileNotFoundError(f'no such mask, get it again: {mask}')
            self.sequences.append((frames, masks))
        if not self.sequences:
            raise FileNotFoundError(
                f'{annotations} has no sequences; --davis names the folder that has '
                'JPEGImages/480p and Annotations/480p'
            )

    def __call__(self, model: nn.Module) -> float:
        """Measure a DoRA model in evaluation mode; in ``[0, 1]``."""
        return float(
            np.mean([self._best(model, *s) for s in progress(self.sequences, 'objects of DAVIS')])
        )

    def _best(self, model: nn.Module, frames: list[Path], masks: list[Path]) -> float:
        truth = np.stack([read_object_mask(mask) > 0 for mask in masks])
        height, width = truth.shape[1:]
        patches = [round(NUM_PATCHES * side / min(height, width)) for side in (height, width)]
        patch = model.teacher.backbone.patch_size
        size = [count * side for count, side in zip(patches, patch, strict=True)]
        clip = [
            cv2.resize(read_image(str(f)), size[::-1], interpolation=cv2.INTER_AREA) for f in frames
        ]
        scores = []
        maps = track_objects(model, np.stack(clip)).maps
        limits = np.quantile(maps, 1 - AREA, axis=(2, 3), keepdims=True)
        for tracked in (maps >= limits).astype(np.uint8):
            large = [
                cv2.resize(m, (width, height), interpolation=cv2.INTER_NEAREST) for m in tracked
            ]
            scores.append(region_similarity(np.stack(large) > 0, truth).mean())
        return max(scores)
