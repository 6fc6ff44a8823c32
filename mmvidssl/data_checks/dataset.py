"""A data set that is built, against the model that it is for."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from mmengine.dataset import BaseDataset
from torch import nn

from .classification import check_labels
from .detection import check_objects
from .files import check_files, check_picture
from .findings import Finding, error
from .segmentation import check_mask, check_masks
from .subject import Subject, heads_of


def check_dataset(
    dataset: BaseDataset, name: str, model: nn.Module, num_opened: int | None = 20
) -> Subject:
    """Go through all samples, and open some; arguments and what was found: :class:`Subject`."""
    subject = Subject(dataset, name, model, num_opened)
    for check in (check_files, check_heads, check_objects, check_samples, check_labels):
        subject.findings += check(subject)
    return subject


def check_heads(subject: Subject) -> Iterator[Finding]:
    """Other numbers of classes than the data's, or than one another's; one class under softmax.

    mmpretrain's and mmdetection's hooks for numbers do not know mmaction2's and mmsegmentation's
    models, nor the options that set them. The softmax of one number is 1, and its loss 0.
    """
    heads, expected = heads_of(subject.model), len(subject.classes)
    if isinstance(names := subject.dataset.metainfo.get('classes'), str):
        yield error(f'metainfo.classes is a string. Of one class, write classes=({names!r},)')
    if expected and any(head.num_classes != expected for head in heads.values()):
        listed = ', '.join(f'{k}.num_classes={head.num_classes}' for k, head in heads.items())
        yield error(f'{expected} classes, but {listed}. Correct these, or metainfo.classes.')
    # Detectors have a background besides, and depth has no classes.
    is_classified = expected and 'instances' not in subject.first
    for name, head in heads.items() if is_classified else ():
        parts = head.named_children() if isinstance(head, nn.Module) else ()
        losses = [part for key, part in parts if key.startswith('loss')]
        is_sigmoid = any(getattr(p, 'use_sigmoid', 'BCE' in type(p).__name__) for p in losses)
        if losses and not is_sigmoid and getattr(head, 'out_channels', head.num_classes) == 1:
            text = 'has one output, whose softmax is always 1 and whose loss is always 0. Make a '
            yield error(f'{name} {text}class of what is not the class (background).')


def check_samples(subject: Subject) -> Iterator[Finding]:
    """What pictures, masks and videos hold, if the disk has them."""
    if subject.backends:
        return
    length = len(subject.dataset)
    indices = np.linspace(0, length - 1, min(length, subject.num_opened or length), dtype=int)
    masks = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings, pixels in pool.map(lambda index: _open(subject, int(index)), indices):
            yield from findings
            masks += [] if pixels is None else [pixels]
    if masks:
        yield from check_masks(subject, masks)
    elif 'reduce_zero_label' in subject.first and subject.part == 'val':
        yield error('no masks (data_prefix.seg_map_path): nothing to measure by')


def _open(subject: Subject, index: int) -> tuple[list[Finding], Counter[int] | None]:
    """Faults of a sample, and pixels of each label in its mask."""
    info, steps = subject.dataset.get_data_info(index), subject.dataset.pipeline.transforms
    findings: list[Finding] = []
    pixels, size, path = None, None, info.get('seg_map_path')
    try:
        # mmdetection's panoptic maps, which have no reduce_zero_label, are something else.
        if path and 'reduce_zero_label' in info and subject.classes:
            findings, pixels, size = check_mask(subject, path)
        elif 'instances' in info:
            size = info['width'], info['height']
        if path := info.get('img_path'):
            findings += check_picture(path, size, subject)
        elif subject.num_opened is None and steps:
            path = info.get('filename', info.get('video_path', ''))
            is_there = os.path.exists(path)
            if is_there and not steps[0](dict(info)).get('total_frames', 1):
                raise ValueError('no frames')
    except FileNotFoundError:  # check_files says so
        pass
    except Exception as fault:  # whatever a decoder raises
        text = f'cannot be read ({type(fault).__name__}), or is empty. Replace it, or leave it out'
        findings.append(error(text, str(path)))
    return findings, pixels
