"""A data set that is built, against the model that it is for.

Data sets are those of mmaction2, mmdetection, mmsegmentation and mmpretrain, told apart by what
they hold and not by their types.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

from .detection import check_coco_classes
from .files import ON_DISK, find_missing
from .image_folders import check_class_folders
from .segmentation import check_masks
from .videos import check_video_list

FILE_KEYS = ('img_path', 'seg_map_path', 'depth_map_path', 'filename', 'frame_dir', 'video_path')
NUM_SHOWN = 5


def check_dataset(dataset: BaseDataset, name: str, model: nn.Module, num_masks: int = 20) -> str:
    """Check files, number of classes, labels and masks; gives a line that says what was seen.

    Args:
        dataset: Of any of the libraries, not wrapped.
        name: Where it stands in the config, ``'train_dataloader.dataset'``.
        model: Whose heads are for its classes.
        num_masks: How many segmentation masks to open, of evenly spaced samples.

    Raises:
        FileNotFoundError: if files are missing.
        ValueError: if there is no sample, or classes do not fit those of the model.
    """
    place = f'{name} ({type(dataset).__name__})'
    keys = ('data_root', 'ann_file', 'data_prefix')
    sources = ', '.join(f'{k}={value!r}' for k in keys if (value := getattr(dataset, k, None)))
    if not len(dataset):
        raise ValueError(
            f'{place} has no samples ({sources}). Are the folder, the annotation file and the '
            'suffixes of file names right, and does filter_cfg leave any?'
        )
    paths: set[str] = set()
    labels: list[tuple[str, int]] = []  # of which file
    for index in range(len(dataset)):  # one at a time: together they may not fit into memory
        info = dataset.get_data_info(index)
        files = [info[key] for key in FILE_KEYS if isinstance(info.get(key), str)]
        paths.update(path for path in files if '://' not in path)
        # Of our lists, where mmaction2's data sets have -1 for a line without label.
        unlabelled = -1 if 'video_path' in info else None
        label = info.get('gt_label', info.get('label', unlabelled))
        if isinstance(label, (int, np.integer)):
            labels.append((files[0] if files else '', int(label)))
    elsewhere = sorted(_backends(dataset).difference(ON_DISK))
    if elsewhere:
        seen = [f'files and masks not looked at, which are read by {", ".join(elsewhere)}']
    else:
        _check_files(place, paths, getattr(dataset, 'ann_file', None) or 'its list', sources)
        seen = [f'{len(paths)} files, which exist']
    infos = [dataset.get_data_info(index) for index in spread(len(dataset), num_masks)]
    numbers, classes = class_numbers(model), _classes(dataset, infos[0], place)
    if numbers:
        num_classes = next(iter(numbers.values())) if classes is None else len(classes)
        what = 'the heads disagree' if classes is None else f'it has {num_classes} classes'
        check_class_numbers(f'{place}: {what}', numbers, num_classes)
        if classes is not None:
            seen.append(f'{num_classes} classes')
        if classes is not None and not isinstance(classes, range):
            _check_names(place, dataset, classes, infos[0], labels, bool(elsewhere))
        if labels:
            seen.append(_check_labels(place, dataset, [n for _, n in labels], num_classes))
        # mmdetection's panoptic maps, which have no reduce_zero_label, are something else.
        masks = [info.get('seg_map_path') for info in infos if 'reduce_zero_label' in info]
        masks = [path for path in masks if path]  # images to be tested on may have none
        if masks and not elsewhere:
            seen.append(check_masks(place, dataset, masks, num_classes))
    return f'{place}: {len(dataset)} samples: {", ".join(seen)}'


def _check_files(place: str, paths: set[str], listed: str, sources: str) -> None:
    missing = find_missing(paths)
    if missing:
        more = ', ...' if len(missing) > NUM_SHOWN else ''
        raise FileNotFoundError(
            f'{place}: {len(missing)} of the {len(paths)} files that {listed} names do not exist: '
            f'{", ".join(missing[:NUM_SHOWN])}{more}. Their names are put together from {sources}; '
            'correct those, or take out of the list what is not there.'
        )


def _classes(dataset: BaseDataset, info: dict, place: str) -> tuple[str, ...] | range | None:
    """Names of the classes, or numbers where there are no names; None if it does not say."""
    if 'depth_map_path' in info:
        return None  # NYUv2's classes are scenes
    names = dataset.metainfo.get('classes')
    if isinstance(names, str):
        raise ValueError(
            f'{place}: metainfo.classes is the string {names!r}. Of one class, write '
            f'classes=({names!r},), with the comma.'
        )
    if names is not None:
        return tuple(names)
    number = getattr(dataset, 'num_classes', None)
    return range(number) if isinstance(number, int) else None


def _check_labels(place: str, dataset: BaseDataset, labels: list[int], num_classes: int) -> str:
    """Refuse labels of samples that no head has a class for."""
    least, most = min(labels), max(labels)
    # A list to be tested on may have no labels; mmaction2 writes -1 for them.
    if most >= num_classes or (least < 0 and not dataset.test_mode):
        raise ValueError(
            f'{place}: the labels go from {least} to {most}, but the classes from 0 to '
            f'{num_classes - 1}. Number the classes of {dataset.ann_file or "the list"} from 0, a '
            'label in every line, and set num_classes to how many there are.'
        )
    return f'labels {least} to {most}'


def _check_names(
    place: str,
    dataset: BaseDataset,
    classes: tuple[str, ...],
    info: dict,
    labels: list[tuple[str, int]],
    is_elsewhere: bool,
) -> None:
    """Refuse names of classes that mean others in the annotations."""
    cat_ids = getattr(dataset, 'cat_ids', None)
    if cat_ids is not None and not is_elsewhere:
        check_coco_classes(place, dataset.ann_file, classes, cat_ids)
    if hasattr(dataset, 'folder_to_idx') and not is_elsewhere:  # mmpretrain's, without a list
        check_class_folders(place, dataset.img_prefix, classes)
    if isinstance(info.get('label'), int) and dataset.ann_file:  # mmaction2's, one label a video
        folder = next(iter(dataset.data_prefix.values()), None) or ''
        samples = ((os.path.relpath(path or '..', folder), label) for path, label in labels)
        check_video_list(place, classes, dataset.ann_file, samples, not dataset.test_mode)


def _backends(dataset: BaseDataset) -> set[str]:
    """MMEngine's file backends that a data set names, for its list or in its pipeline."""
    names = set()
    for part in (dataset, *dataset.pipeline.transforms):
        names.add(getattr(part, 'io_backend', None))  # mmaction2's
        for key in ('backend_args', 'file_client_args'):
            names.add((getattr(part, key, None) or {}).get('backend'))
    return {name for name in names if name}


def spread(length: int, number: int) -> list[int]:
    """At most ``number`` indices below ``length``, evenly spaced, first and last included."""
    return np.unique(np.linspace(0, length - 1, min(length, number)).round().astype(int)).tolist()


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets within wrappers that repeat or concatenate."""
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from leaves(part)
    elif hasattr(dataset, 'dataset'):
        yield from leaves(dataset.dataset)
    else:
        yield dataset


def class_numbers(model: nn.Module) -> dict[str, int]:
    """``num_classes`` of every head, and of what mixes labels, by its place in the config."""
    numbers = {}
    for name, module in model.named_modules():
        is_head = 'Head' in type(module).__name__ and not name.endswith('rpn_head')
        if is_head or name == 'data_preprocessor':
            # mmpretrain's preprocessor stands at the top of a config.
            numbers[f'model.{name}' if is_head else name] = getattr(module, 'num_classes', None)
    blending = getattr(getattr(model, 'data_preprocessor', None), 'blending', None)
    for index, augment in enumerate(getattr(blending, 'augments', None) or ()):
        place = f'model.data_preprocessor.blending.augments.{index}'
        numbers[place] = getattr(augment, 'num_classes', None)
    return {f'{k}.num_classes': number for k, number in numbers.items() if isinstance(number, int)}


def check_class_numbers(what: str, numbers: dict[str, int], expected: int) -> None:
    """Refuse numbers of classes that are others than the data's, or than one another.

    mmpretrain's and mmdetection's hooks for this do not know mmaction2's and mmsegmentation's
    models, nor the options that set the numbers.

    Args:
        what: The data set and its number of classes, for the message.
        numbers: By the option that sets each.
        expected: Number of classes.

    Raises:
        ValueError: names each option and its number.
    """
    if any(number != expected for number in numbers.values()):
        listed = ', '.join(f'{option}={number}' for option, number in numbers.items())
        raise ValueError(f'{what}, but there is {listed}. Correct these, or metainfo.classes.')
