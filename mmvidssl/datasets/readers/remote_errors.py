"""Errors that cross from one process to another: by name and message, never pickled."""

import traceback

from . import errors
from .errors import VideoError, class_of_system_error

# What a reader raises for a wrong argument, or out of a mistake in its code: never a file's fault.
PLAIN: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    LookupError,
    ModuleNotFoundError,
    NameError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    ZeroDivisionError,
)
VIDEO_ERRORS: list[type[Exception]] = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, VideoError)
]
CLASSES: dict[str, type[Exception]] = {c.__name__: c for c in (*PLAIN, *VIDEO_ERRORS)}


class DecoderTraceback(Exception):
    """Where in the other process an error was raised; shown as its cause."""


def to_plain(error: Exception, path: str) -> dict:
    """An error as strings.

    One of a class that is not known here (a decoding library's, an ``OSError``, a ``MemoryError``
    over a size that a damaged file claims) becomes a :class:`VideoError` that names the file, of a
    disk's failure a :class:`VideoDiskError`; a class derived from a known :class:`VideoError`
    becomes that one.
    """
    name, message = type(error).__name__, _message_of(error)
    if isinstance(error, VideoError):
        name = next(base.__name__ for base in type(error).__mro__ if base in VIDEO_ERRORS)
    elif type(error) not in PLAIN:
        message = f'cannot read {path}: {name}: {message}'
        name = class_of_system_error(error).__name__
    trace = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
    return dict(name=name, message=message, traceback=trace)


def from_plain(plain: dict) -> Exception:
    """The error, with the other process's traceback as its cause."""
    error = CLASSES[plain['name']](plain['message'])
    error.__cause__ = DecoderTraceback(f'\n{plain["traceback"]}')
    return error


def _message_of(error: Exception) -> str:
    """As it was given: the text of a ``KeyError`` is quoted, and of a class of two bases odd."""
    is_plain = len(error.args) == 1 and isinstance(error.args[0], str)
    return error.args[0] if is_plain else str(error)
