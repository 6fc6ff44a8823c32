"""Videos as folders of frames, with masks or boxes of objects: DAVIS, GOT-10k, OTB."""

import re
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from mmvidssl.registry import DATASETS
from mmvidssl.utils.listing import read_lines

from .list_files import IMAGE_SUFFIXES

# OTB sequences with more frames than boxes: number of the first annotated frame, from 1.
OTB_STARTS = dict(david=300, football1=1, freeman3=1, freeman4=1, diving=1)


def list_frames(folder: Path) -> list[Path]:
    """Paths of the numbered images (``00000.jpg``, ...) in a folder, in order.

    Raises:
        FileNotFoundError: If there is none, or a number between two others is missing.
    """
    files = [file for file in folder.glob('[0-9]*') if file.suffix.lower() in IMAGE_SUFFIXES]
    frames = {int(file.stem): file for file in sorted(files) if file.stem.isdigit()}
    if not frames:
        raise FileNotFoundError(f'{folder} has no frames, such as 00000.jpg; get them again')
    for number in range(min(frames), max(frames)):
        if number not in frames:
            some = frames[min(frames)]
            lost = some.with_stem(str(number).zfill(len(some.stem)))
            raise FileNotFoundError(f'a frame is missing, get it again: {lost}')
    return [frames[number] for number in sorted(frames)]


def read_sequences(ann_file: str) -> list[str]:
    """Sequence names from a list of DAVIS, of sequences (2017) or of paths of frames (2016)."""
    lines = [line.split()[0] for line in read_lines(ann_file)]
    return [*dict.fromkeys(Path(line).parent.name if '/' in line else line for line in lines)]


@DATASETS.register_module()
class DAVISDataset(BaseDataset):
    """DAVIS-2016 or 2017, one sample per sequence: ``name``, ``img_paths``, ``seg_paths``.

    ``ann_file`` is a list for :func:`read_sequences`. ``data_prefix`` has ``img_path`` and
    ``seg_map_path``, folders with one sub-folder per sequence.

    Raises:
        FileNotFoundError: If the list, a frame or a mask is missing; names it.
        ValueError: If a sequence has fewer than 3 frames (first and last are not scored); names it.
    """

    def load_data_list(self) -> list[dict]:
        """Sequences in the order of the list."""
        return [self._find(name) for name in read_sequences(self.ann_file)]

    def _find(self, name: str) -> dict:
        frames, masks = (
            {path.stem: path for path in list_frames(Path(self.data_prefix[kind], name))}
            for kind in ('img_path', 'seg_map_path')
        )
        for stem in sorted(frames.keys() ^ masks.keys()):
            there, kind = (masks[stem], 'frame') if stem in masks else (frames[stem], 'mask')
            raise FileNotFoundError(f'{there} has no {kind}; get it again')
        if len(frames) < 3:
            raise ValueError(f'{frames[min(frames)].parent} has {len(frames)} frames; 3 are needed')
        paths = [[str(part[stem]) for stem in frames] for part in (frames, masks)]
        return dict(name=name, img_paths=paths[0], seg_paths=paths[1])


@DATASETS.register_module()
class TrackingDataset(BaseDataset):
    """Single-object tracking sequences in the layout of GOT-10k, VOT or OTB.

    Each sequence is a folder with frames in it (GOT-10k, VOT) or in its ``img`` (OTB), and
    ``groundtruth.txt`` or ``groundtruth_rect.txt``: a line per frame of x, y, w, h (or a polygon,
    whose bounding box is taken), NaN where the object is absent. GOT-10k adds ``cover.label``; its
    test sequences have only the first line. OTB's sequences with two objects are two samples.

    A sample has ``name``, ``img_paths``, ``boxes`` and ``visible`` (positive or true if it is).

    Args:
        ann_file: File that lists sequence folders below ``data_root``; '' takes all of them.
        data_root: Folder of the sequences.
        **kwargs: As in MMEngine's ``BaseDataset``.

    Raises:
        FileNotFoundError: If a frame or file is missing; names it.
        ValueError: If a line is not a box, or there is not one per frame; names the file.
    """

    def load_data_list(self) -> list[dict]:
        """One dict per sequence, in the order of the list, or sorted by name."""
        root = Path(self.data_root)
        names = (
            read_lines(self.ann_file)
            if self.ann_file
            else sorted(file.name for file in root.iterdir() if file.is_dir())
        )
        samples = []
        for folder in (root / name for name in names):
            files = sorted(folder.glob('groundtruth*.txt'))
            if not files:
                raise FileNotFoundError(f'{folder} has no groundtruth.txt or groundtruth_rect.txt')
            for number, file in enumerate(files, start=1):
                name = folder.name if len(files) == 1 else f'{folder.name}-{number}'
                samples.append(dict(name=name, **self._read(folder, file)))
        return samples

    def _read(self, folder: Path, file: Path) -> dict:
        boxes = read_boxes(file)
        frames = list_frames(folder / 'img' if (folder / 'img').is_dir() else folder)
        if folder.name.lower() in OTB_STARTS and len(frames) > len(boxes):
            frames = frames[OTB_STARTS[folder.name.lower()] - 1 :][: len(boxes)]
        cover = folder / 'cover.label'
        is_there = np.isfinite(boxes).all(axis=1)
        visible = _read_numbers(cover).ravel() if cover.exists() else is_there
        for found, source in ((boxes, file), (visible, cover)):
            if len(found) != len(frames) and len(boxes) > 1:
                raise ValueError(f'{source} has {len(found)} lines for {len(frames)} frames')
        arrays = dict(boxes=boxes.tolist(), visible=visible.tolist())
        return dict(img_paths=[str(path) for path in frames], **arrays)


def read_boxes(path: Path) -> np.ndarray:
    """Read boxes ``(N, 4)``, x, y, w, h, from a text file of boxes or of four-point polygons.

    Raises:
        ValueError: If a line is neither, or the first box has no area; names the file.
    """
    rows = _read_numbers(path)
    if rows.ndim == 2 and rows.shape[1] == 8:
        corners = rows.reshape(-1, 4, 2)
        least = corners.min(axis=1)
        rows = np.concatenate([least, corners.max(axis=1) - least], axis=1)
    if rows.shape[1:] != (4,) or not (rows[0, 2:] > 0).all():
        raise ValueError(f'{path} must have x, y, w, h or 8 coordinates a line, w and h positive')
    return rows


def _read_numbers(path: Path) -> np.ndarray:
    try:
        return np.array([[float(x) for x in re.split(r'[,\s]+', row)] for row in read_lines(path)])
    except ValueError as error:
        raise ValueError(f'{path} must have as many numbers on each line ({error})') from None
