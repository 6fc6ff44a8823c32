"""Files that do not exist, lie beside those that are read, or are turned."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from PIL import Image
from PIL.ExifTags import Base

from .findings import Finding, error, some, warning
from .subject import Subject

PICTURES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
Size = tuple[int, int]
"""Width and height."""
TURN = (
    'Write the pictures as they are to be seen (PIL.ImageOps.exif_transpose), or read them with '
    "color_type='color_ignore_orientation'."
)


def check_files(subject: Subject) -> Iterator[Finding]:
    """Files that do not exist; pictures that a data set without a list leaves out."""
    keys = ('data_root', 'ann_file', 'data_prefix')
    named = {key: getattr(subject.dataset, key, None) for key in keys}
    sources = ', '.join(f'{key}={value!r}' for key, value in named.items() if value)
    if not len(subject.dataset):
        yield error(
            f'no samples ({sources}). Are the folder, the annotation file and the suffixes of file '
            'names right, and does filter_cfg leave any?'
        )
    if subject.backends:
        yield warning(f'files are not looked at, which {", ".join(subject.backends)} reads')
        return
    missing, beside = compare_with_disk(subject.files)
    if missing:
        text = (
            f'{len(missing)} of the {sum(map(len, subject.files.values()))} files that '
            f'{named["ann_file"] or "its list"} names do not exist: {some(missing, 5)}. Their '
            f'names are put together from {sources}; correct those, or take them out of the list'
        )
        yield Finding(FileNotFoundError, text)
    for path in [] if named['ann_file'] else beside:
        suffix = os.path.splitext(path)[1]
        if os.path.dirname(path) in subject.picture_folders and suffix.lower() in PICTURES:
            yield warning(f'left out for the suffix {suffix}. Rename or convert.', path)


def compare_with_disk(files: dict[str, set[str]]) -> tuple[list[str], list[str]]:
    """Files and folders that do not exist, and those beside the others.

    Each folder is listed once, several at a time: a disk in a network answers that with hundreds of
    names, but a question after one file with one answer. Only what a listing does not show as an
    entry of its own is asked for, such as links, which may lead nowhere.

    Args:
        files: Names by folder.
    """
    with ThreadPoolExecutor(16) as pool:
        listed = dict(zip(files, pool.map(_list_folder, files), strict=True))
        left = [os.path.join(d, name) for d in files for name in sorted(files[d] - listed[d])]
        exist = pool.map(os.path.exists, left)
        missing = [path for path, exists in zip(left, exist, strict=True) if not exists]
    return missing, [os.path.join(d, name) for d in files for name in sorted(listed[d] - files[d])]


def _list_folder(folder: str) -> set[str]:
    """Entries that are no links; none of a folder that is not there or may not be listed."""
    try:
        with os.scandir(folder or '.') as entries:
            return {entry.name for entry in entries if not entry.is_symlink()}
    except OSError:
        return set()


def check_picture(path: str, size: Size | None, subject: Subject) -> Iterator[Finding]:
    """A picture that is turned, or of another size than what is drawn on it.

    Args:
        path: Of the picture.
        size: Width and height of its mask, or by its annotation; None: of no matter.
        subject: Whose pipeline turns pictures by EXIF, if OpenCV reads them.

    Raises:
        OSError, SyntaxError, ValueError: of PIL, if it cannot be read.
    """
    with Image.open(path) as image:
        stored, orientation = image.size, image.getexif().get(Base.Orientation, 1)
        if subject.num_opened is None:
            image.draft('RGB', (1, 1))  # JPEG: all of the file, few of the pixels
            image.load()
    kinds = [str(getattr(step, 'color_type', '')) for step in subject.dataset.pipeline.transforms]
    if any('ignore_orientation' in kind or kind == 'unchanged' for kind in kinds):
        orientation = 1
    shown = stored[::-1] if orientation > 4 else stored
    if size not in (None, shown):
        if size == stored:
            yield error(f'turned by EXIF when read, but what is drawn on it is not. {TURN}', path)
        else:
            text = 'not of the size of its annotation or mask. Was it resized? Resize both alike.'
            yield error(text, path)
    elif size == stored and orientation != 1:  # size does not tell
        text = 'turned by EXIF: right only if boxes or masks are of the turned picture. '
        yield warning(text + TURN, path)
