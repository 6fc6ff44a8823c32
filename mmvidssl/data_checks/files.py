"""Files that do not exist, lie beside those that are read, or cannot be read."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from .findings import NUM_SHOWN, Finding, error, warning
from .subject import Subject

ON_DISK = ('local', 'disk')
"""MMEngine's and mmaction2's file backends that read from the disk."""
NUM_THREADS = 16
PICTURES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
ORIENTATION = 0x0112
"""EXIF's tag; from 5 on width and height change places."""
Size = tuple[int, int]
"""Width and height."""
UNREADABLE = 'cannot be read ({0.__class__.__name__}). Replace it, or leave it out'
TURN = (
    'Write the pictures as they are to be seen (PIL.ImageOps.exif_transpose), or read them with '
    "color_type='color_ignore_orientation'."
)


def check_files(subject: Subject) -> Iterator[Finding]:
    """Files that do not exist; pictures that a data set without a list leaves out."""
    keys = ('data_root', 'ann_file', 'data_prefix')
    named = {key: getattr(subject.dataset, key, None) for key in keys}
    sources = ', '.join(f'{key}={value!r}' for key, value in named.items() if value)
    elsewhere = sorted(subject.backends.difference(ON_DISK))
    if not len(subject.dataset):
        yield error(
            f'no samples ({sources}). Are the folder, the annotation file and the suffixes of file '
            'names right, and does filter_cfg leave any?'
        )
    elif elsewhere:
        subject.seen.append(
            f'files and masks not looked at, which are read by {", ".join(elsewhere)}'
        )
    else:
        missing, beside = compare_with_disk(subject.files)
        number = sum(map(len, subject.files.values()))
        if missing:
            more = ', ...' if len(missing) > NUM_SHOWN else ''
            text = (
                f'{len(missing)} of the {number} files that {named["ann_file"] or "its list"} '
                f'names do not exist: {", ".join(missing[:NUM_SHOWN])}{more}. Their names are put '
                f'together from {sources}; correct those, or take out of the list what is not there'
            )
            yield Finding(FileNotFoundError, text)
        else:
            subject.seen.append(f'{number} files, which exist')
        kinds: Counter[str] = Counter()
        for path in [] if named['ann_file'] else beside:
            suffix = os.path.splitext(path)[1]
            if os.path.dirname(path) in subject.picture_folders and suffix.lower() in PICTURES:
                kinds[suffix] += 1
                if kinds[suffix] <= NUM_SHOWN:
                    yield warning(f'left out, as names are to end otherwise than in {suffix}', path)
        if kinds:
            yield warning(f'pictures left out by suffix: {dict(kinds)}. Rename or convert them.')


def compare_with_disk(files: dict[str, set[str]]) -> tuple[list[str], list[str]]:
    """Files and folders that do not exist, and those beside the others.

    Each folder is listed once, several at a time: a disk in a network answers that with hundreds of
    names, but a question after one file with one answer. Only what a listing does not show as an
    entry of its own is asked for, such as links, which may lead nowhere.

    Args:
        files: Names by folder.
    """
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        found = list(pool.map(_list_folder, files, files.values()))
        left = [path for unlisted, _ in found for path in unlisted]
        exist = pool.map(os.path.exists, left)
        missing = [path for path, exists in zip(left, exist, strict=True) if not exists]
    return missing, [path for _, beside in found for path in beside]


def _list_folder(folder: str, names: set[str]) -> tuple[list[str], list[str]]:
    """Paths of the names that a listing of the folder does not show, and of its other entries."""
    beside: list[str] = []
    try:
        with os.scandir(folder or '.') as entries:
            listed = {entry.name for entry in entries if not entry.is_symlink()}
        beside, names = sorted(listed - names), names - listed
    except OSError:
        pass  # no such folder, or one that may be entered but not listed: asking tells
    return [os.path.join(folder, n) for n in sorted(names)], [
        os.path.join(folder, n) for n in beside
    ]


def check_picture(path: str, size: Size | None, subject: Subject) -> Iterator[Finding]:
    """A picture that cannot be read, is turned, or of another size than what is drawn on it.

    Args:
        path: Of the picture.
        size: Width and height of its mask, or by its annotation; None: of no matter.
        subject: Whose pipeline turns pictures by EXIF, if OpenCV reads them.
    """
    try:
        with Image.open(path) as image:
            stored, orientation = image.size, image.getexif().get(ORIENTATION, 1)
            if subject.num_opened is None:
                image.draft('RGB', (1, 1))  # JPEG: all of the file, few of the pixels
                image.load()
    except (OSError, SyntaxError, ValueError) as fault:
        yield error(UNREADABLE.format(fault), path)
        return
    kinds = [str(getattr(step, 'color_type', '')) for step in subject.dataset.pipeline.transforms]
    if any('ignore_orientation' in kind or kind == 'unchanged' for kind in kinds):
        orientation = 1
    shown = stored[::-1] if orientation > 4 else stored
    if size is None or (size == shown and orientation == 1):
        return
    if size == shown:
        turned = size == stored or orientation < 5
        if turned:
            text = 'turned by EXIF: right only if boxes or masks are of the turned picture. '
            yield warning(text + TURN, path)
    elif size == stored:
        yield error('turned by EXIF when read, but what is drawn on it is not. ' + TURN, path)
    else:
        yield error(
            'not of the size of its annotation or mask. Was it resized? Resize both alike.', path
        )
