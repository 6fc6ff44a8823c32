"""What a check finds, and the one place that says it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """A fault of data: ``UserWarning`` if it may be meant; the text is the same for all files."""

    kind: type[Exception]
    text: str
    file: str = ''


def error(text: str, file: str = '') -> Finding:
    return Finding(ValueError, text, file)


def warning(text: str, file: str = '') -> Finding:
    return Finding(UserWarning, text, file)


def refuse(place: str, findings: Iterable[Finding], say: Callable[[str], object]) -> None:
    """Say what may be meant, a line for all files with the same fault, and raise the rest as one.

    Raises:
        FileNotFoundError, ValueError: that of the first error.
    """
    files: dict[tuple[type[Exception], str], list[str]] = {}
    for kind, text, file in findings:
        files.setdefault((kind, text), []).extend([file] if file else [])
    wrong: dict[str, type[Exception]] = {}
    for (kind, text), names in files.items():
        line = ': '.join(filter(None, (place, some(names, 5), text)))
        if issubclass(kind, Warning):
            say(line)
        else:
            wrong[line] = kind
    if wrong:
        raise next(iter(wrong.values()))('\n'.join(wrong))


def some(items: Iterable, number: int = 20) -> str:
    """The first of a list, and how many more there are."""
    words = list(map(str, items))
    more = f' and {len(words) - number} more' if len(words) > number else ''
    return ', '.join(words[:number]) + more
