"""A data set that is built, against the model that it is for."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mmengine.dataset import BaseDataset
from torch import nn

from .detection import check_objects
from .files import ON_DISK, check_files, check_picture
from .findings import Finding, error
from .heads import check_heads
from .segmentation import check_mask, check_masks
from .subject import Subject
from .videos import check_labels, check_video


class Report(NamedTuple):
    """What was found: where, what was seen, faults; samples, objects or pixels of each class."""

    place: str
    line: str
    findings: list[Finding]
    counts: dict[str, int]


def check_dataset(
    dataset: BaseDataset, name: str, model: nn.Module, num_opened: int | None = 20
) -> Report:
    """Go through all samples, and open some.

    Args:
        dataset: Of any of the libraries, not wrapped.
        name: Where it stands in the config, ``'train_dataloader.dataset'``.
        model: Whose heads are for its classes.
        num_opened: As :class:`Subject`'s.
    """
    subject = Subject(dataset, name, model, num_opened)
    findings = [finding for check in CHECKS for finding in check(subject)]
    place = f'{name} ({type(dataset).__name__})'
    line = f'{place}: {len(dataset)} samples: {", ".join(subject.seen)}'
    counts = {str(name): subject.counts[n] for n, name in enumerate(subject.classes)}
    return Report(place, line, findings, counts)


def check_class_names(subject: Subject) -> Iterator[Finding]:
    """One class whose tuple has no comma."""
    names = subject.dataset.metainfo.get('classes')
    if isinstance(names, str):
        yield error(
            f'metainfo.classes is the string {names!r}. Of one class, write classes=({names!r},), '
            'with the comma.'
        )


def check_samples(subject: Subject) -> Iterator[Finding]:
    """What pictures, masks and videos hold, if the disk has them."""
    if subject.backends.difference(ON_DISK):
        return
    masks = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings, pixels in pool.map(lambda index: _open(subject, index), subject.opened()):
            yield from findings
            if pixels is not None:
                masks.append(pixels)
    # mmdetection's panoptic maps, which have no reduce_zero_label, are something else.
    if masks:
        yield from check_masks(subject, masks)
    elif 'reduce_zero_label' in subject.first and subject.is_validation:
        yield error('no masks (data_prefix.seg_map_path): nothing to measure by')


def _open(subject: Subject, index: int) -> tuple[list[Finding], Counter[int] | None]:
    info = subject.dataset.get_data_info(index)
    findings: list[Finding] = []
    pixels, size = None, None
    if not all(os.path.exists(p) for p in (info.get('img_path'), info.get('seg_map_path')) if p):
        return findings, pixels  # check_files says so
    if 'reduce_zero_label' in info and info.get('seg_map_path') and subject.classes:
        findings, pixels, size = check_mask(subject, info['seg_map_path'])
    elif 'instances' in info:
        size = info['width'], info['height']
    if 'img_path' in info:
        findings += check_picture(info['img_path'], size, subject)
    elif subject.num_opened is None and {'filename', 'video_path'} & set(info):
        findings += check_video(subject, info)
    return findings, pixels


CHECKS = (check_class_names, check_files, check_heads, check_objects, check_samples, check_labels)
