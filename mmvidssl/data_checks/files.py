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
    'turned by EXIF when read, unlike boxes or masks that were drawn on the stored pixels. Write '
    'the pictures as they are to be seen (PIL.ImageOps.exif_transpose), or read them with '
    "color_type='color_ignore_orientation'."
)


def check_files(subject: Subject) -> Iterator[Finding]:
    """Files that do not exist; pictures that a data set without a list leaves out."""
    keys = ('data_root', 'ann_file', 'data_prefix')
    named = {key: getattr(subject.dataset, key, None) for key in keys}
    sources = ', '.join(f'{key}={value!r}' for key, value in named.items() if value)
    if not len(subject.dataset):
        yield error(f'no samples ({sources}). Are these right, and does filter_cfg leave any?')
    if subject.backends:
        yield warning(f'files are not looked at, which {", ".join(subject.backends)} reads')
        return
    missing, beside = compare_with_disk(subject.files)
    if missing:
        yield Finding(
            FileNotFoundError,
            f'{len(missing)} of the {subject.num_files} files do not exist: {some(missing, 5)}. '
            f'Names are put together from {sources}; correct those, or take files out of the list',
        )
    for path in [] if named['ann_file'] else beside:
        suffix = os.path.splitext(path)[1]
        if os.path.dirname(path) in subject.picture_folders and suffix.lower() in PICTURES:
            yield warning(f'left out for the suffix {suffix}. Rename or convert.', path)


def compare_with_disk(files: dict[str, set[str]]) -> tuple[list[str], list[str]]:
    """Files (names by folder) that do not exist, and those that lie beside the others.

    Each folder is listed once, several at a time: a disk in a network answers that with hundreds of
    names, but a question after one file with one. Asked for is only what a listing does not show,
    such as links, which may lead nowhere.
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
    """A picture that is turned, or of another size than its mask or annotation, if it has one.

    Errors of PIL are raised. OpenCV, which reads in training, turns pictures by EXIF.
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
        text = 'not of the size of its annotation or mask. Was it resized? Resize both alike.'
        yield error(TURN if size == stored else text, path)
    elif size == stored and orientation != 1:  # by the size it may be either
        yield warning(TURN, path)
