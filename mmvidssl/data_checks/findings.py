"""What a check finds, and the one place that says it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """A fault of data.

    Attributes:
        kind: An error if nothing can be learnt so, ``UserWarning`` if it may be meant.
        text: What is wrong and how to mend it; the same for all files that have it.
        file: Where, if it is one file.
    """

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
    lines = {': '.join(filter(None, (place, some(files[key], 5), key[1]))): key[0] for key in files}
    wrong = {line: kind for line, kind in lines.items() if not issubclass(kind, Warning)}
    for line in lines:
        if line not in wrong:
            say(line)
    if wrong:
        raise next(iter(wrong.values()))('\n'.join(wrong))


def some(items: Iterable, number: int = 20) -> str:
    """The first of a list, and how many more there are."""
    words = list(map(str, items))
    more = f' and {len(words) - number} more' if len(words) > number else ''
    return ', '.join(words[:number]) + more
