"""A progress bar for loops that may take long."""

from collections.abc import Iterable
from typing import TypeVar

from mmengine.dist import is_main_process
from tqdm import tqdm

T = TypeVar('T')


def progress(items: Iterable[T], desc: str, total: int | None = None) -> Iterable[T]:
    """Iterate with a bar: in the main process, on a terminal, after 2 s, until the loop ends."""
    disable = None if is_main_process() else True  # None: no bar without a terminal
    return tqdm(items, desc, total, leave=False, delay=2, disable=disable)
