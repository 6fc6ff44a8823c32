"""Image classification: a folder of images for each class."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .findings import Finding, error


def find_class_folders(folder: str | os.PathLike) -> list[str]:
    """Names of the folders in a folder, sorted: the classes, as mmpretrain numbers them.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there is none in it, or a hidden one, which mmpretrain takes for a class.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'{folder} does not exist: it should hold a folder for each class')
    names = sorted(item.name for item in Path(folder).iterdir() if item.is_dir())
    hidden = [name for name in names if name.startswith('.')]
    if hidden or not names:
        found = f'{hidden}, which mmpretrain takes for classes: remove them' if hidden else 'none'
        raise ValueError(f'{folder} should hold a folder of images for each class, but has {found}')
    return names


def check_class_folders(folder: Path, classes: Sequence[str]) -> Iterator[Finding]:
    """Folders called like some of the classes, but not all of them in the order of the alphabet."""
    try:
        folders = find_class_folders(folder)
    except ValueError as fault:
        yield error(str(fault))
        return
    if folders != list(classes) and set(folders) & set(classes):
        lacking, more = sorted({*classes} - {*folders}), sorted({*folders} - {*classes})
        yield error(
            f'the folders in {folder} should be the classes, in the order of the alphabet; '
            f'missing: {lacking or "none"}; of no class: {more or "none"}'
        )
