"""Refusing options of earlier versions by naming what replaced them."""

import functools
from collections.abc import Callable
from typing import TypeVar

Class = TypeVar('Class', bound=type)


def removed_options(harmless: dict | None = None, /, **instead: str) -> Callable[[Class], Class]:
    """Class decorator: options that are gone, and what to write instead.

    Args:
        harmless: Values that change nothing, by option: those of configs in older checkpoints are
            let pass.
        instead: What to write, by option.

    Raises:
        TypeError: when the class, or one derived from it, is built with such an option.
    """

    def decorate(cls: Class) -> Class:
        init = cls.__init__  # type: ignore[misc]

        @functools.wraps(init)
        def checked_init(self, *args, **kwargs) -> None:
            for name, value in (harmless or {}).items():
                if name in kwargs and kwargs[name] == value:
                    del kwargs[name]
            for name in instead.keys() & kwargs.keys():
                raise TypeError(
                    f'{type(self).__name__} has no option {name!r} any more: {instead[name]}'
                )
            init(self, *args, **kwargs)

        cls.__init__ = checked_init  # type: ignore[misc]
        return cls

    return decorate
