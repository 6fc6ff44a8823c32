"""A progress bar for loops that may take long."""

from collections.abc import Iterable
from typing import TypeVar

from mmengine.dist import is_main_process
from tqdm import tqdm

T = TypeVar('T')


def progress(items: Iterable[T], desc: str, total: int | None = None) -> Iterable[T]:
    """``items`` with a bar, on a terminal, of the main process, after two seconds; then it goes."""
    disable = None if is_main_process() else True  # None: where the output is no terminal
    return tqdm(items, desc, total, leave=False, delay=2, disable=disable)
