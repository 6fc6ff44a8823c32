"""Checks of a built data set: its files, its samples, its classes against the model's heads."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image
from torch import nn

from mmvidssl.utils.listing import compare_with_disk, some
from mmvidssl.utils.progress import progress

from .classification import check_labels
from .detection import check_objects
from .segmentation import check_mask, check_masks
from .subject import Finding, Subject, error, heads_of, warning

PICTURE = re.compile(r'[^.].*\.(bmp|gif|jpe?g|png|ppm|tiff?|webp)', re.IGNORECASE)  # not hidden
TURN = (
    'turned by EXIF when read, unlike boxes or masks drawn on the stored pixels. Write pictures as '
    "seen (PIL.ImageOps.exif_transpose), or read with color_type='color_ignore_orientation'."
)


def check_dataset(
    dataset: BaseDataset, name: str, model: nn.Module, num_opened: int | None = 20
) -> Subject:
    """Check all samples of a data set, opening some; arguments and result: :class:`Subject`."""
    subject = Subject(dataset, name, model, num_opened)
    for check in (check_files, check_heads, check_objects, check_samples, check_labels):
        subject.findings += check(subject)
    return subject


def check_files(subject: Subject) -> Iterator[Finding]:
    """Find missing files, and images that a data set without a list leaves out."""
    named = {key: getattr(subject.dataset, key) for key in ('data_root', 'ann_file', 'data_prefix')}
    sources = ', '.join(f'{key}={value!r}' for key, value in named.items() if value)
    if not len(subject.dataset):
        yield error(f'no samples ({sources}). Are these right, and does filter_cfg leave any?')
    if subject.backends:
        yield warning(f'files are not looked at, which {", ".join(subject.backends)} reads')
        return
    missing, beside = compare_with_disk(subject.files)
    if missing:
        text = f'{len(missing)} of the {subject.num_files} files do not exist: {some(missing, 5)}'
        yield Finding(FileNotFoundError, f'{text}. Correct what paths are made of: {sources}')
    for folder, name in map(os.path.split, [] if named['ann_file'] else beside):
        if folder in subject.picture_folders and PICTURE.fullmatch(name):
            path = os.path.join(folder, name)
            yield warning('left out for the suffix. Rename or convert.', path)


def check_heads(subject: Subject) -> Iterator[Finding]:
    """Find heads with another number of classes than the data, and softmax of one class."""
    heads, expected = heads_of(subject.model), len(subject.classes)
    if isinstance(names := subject.dataset.metainfo.get('classes'), str):
        yield error(f'metainfo.classes is a string. Of one class, write classes=({names!r},)')
    if expected and any(head.num_classes != expected for head in heads.values()):
        listed = ', '.join(f'{k}.num_classes={head.num_classes}' for k, head in heads.items())
        yield error(f'{expected} classes, but {listed}. Correct these, or metainfo.classes.')
    # Detectors add a background themselves, and depth has no classes.
    for name, head in heads.items() if expected and 'instances' not in subject.first else ():
        losses = [v for k, v in getattr(head, '_modules', {}).items() if k.startswith('loss')]
        is_sigmoid = any(getattr(p, 'use_sigmoid', 'BCE' in type(p).__name__) for p in losses)
        if losses and not is_sigmoid and getattr(head, 'out_channels', head.num_classes) == 1:
            yield error(f'{name} has one output: softmax 1, loss 0. Add a class, the background.')


def check_samples(subject: Subject) -> Iterator[Finding]:
    """Open images, masks and videos on the local disk, and check what they hold."""
    if subject.backends:
        return
    length = len(subject.dataset)
    indices = np.linspace(0, length - 1, min(length, subject.num_opened or length), dtype=int)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(partial(_open, subject), indices.tolist())
        for findings in progress(found, f'opening {subject.part}', len(indices)):
            yield from findings
    if 'reduce_zero_label' in subject.first:
        yield from check_masks(subject)


def _open(subject: Subject, index: int) -> list[Finding]:
    info, steps = subject.dataset.get_data_info(index), subject.dataset.pipeline.transforms
    findings, size, path = list[Finding](), None, info.get('seg_map_path')
    try:
        # Without reduce_zero_label it is a panoptic map of mmdetection: not checked.
        if path and 'reduce_zero_label' in info and subject.classes:
            with Image.open(path) as image:
                findings += check_mask(subject, np.asarray(image), path)
                size = image.size
        elif 'instances' in info:
            size = info['width'], info['height']
        if path := info.get('img_path'):
            findings += check_picture(path, size, subject)
        elif subject.num_opened is None and steps:
            path = info.get('filename', info.get('video_path', ''))
            if os.path.exists(path) and not steps[0](dict(info)).get('total_frames', 1):
                raise ValueError('no frames')
    except FileNotFoundError:  # check_files reports it
        pass
    except Exception as fault:  # whatever a decoder raises
        text = f'cannot be read ({type(fault).__name__}), or is empty. Replace it, or leave it out'
        findings.append(error(text, str(path)))
    return findings


def check_picture(path: str, size: tuple[int, int] | None, subject: Subject) -> Iterator[Finding]:
    """Find an image rotated by EXIF, which OpenCV applies in training, or of a wrong size."""
    with Image.open(path) as image:
        stored, orientation = image.size, image.getexif().get(0x0112, 1)
        if subject.num_opened is None:
            image.draft('RGB', (1, 1))  # JPEG: reads the whole file, decodes it small
            image.load()
    kinds = [str(getattr(step, 'color_type', '')) for step in subject.dataset.pipeline.transforms]
    if any('ignore_orientation' in kind or kind == 'unchanged' for kind in kinds):
        orientation = 1
    shown = stored[::-1] if orientation > 4 else stored
    if size not in (None, shown):
        text = 'not of the size of its annotation or mask. Was it resized? Resize both alike.'
        yield error(TURN if size == stored else text, path)
    elif size == stored and orientation != 1:  # the size fits either way
        yield warning(TURN, path)
