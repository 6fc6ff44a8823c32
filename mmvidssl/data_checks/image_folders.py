"""Image classification: a folder of images for each class."""

import os
from collections.abc import Sequence
from pathlib import Path


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


def check_class_folders(place: str, folder: str | os.PathLike, classes: Sequence[str]) -> None:
    """Refuse folders that are called like some of the classes, but are not all of them, in order.

    mmpretrain numbers them by the alphabet, whatever the names of the classes are.

    Args:
        place: Of the data set, for the message.
        folder: Of the folders.
        classes: Names, in the order of their labels.

    Raises:
        ValueError: names the folders that there should be.
    """
    folders = find_class_folders(folder)
    if folders != list(classes) and set(folders) & set(classes):
        lacking, more = sorted({*classes} - {*folders}), sorted({*folders} - {*classes})
        raise ValueError(
            f'{place}: the folders in {folder} should be the classes, in the order of the '
            f'alphabet; missing: {lacking or "none"}; of no class: {more or "none"}'
        )
