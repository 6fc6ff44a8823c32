"""Text files that users write, with whatever program."""

import os
from pathlib import Path


def read_lines(path: str | os.PathLike) -> list[str]:
    """Lines of a UTF-8 text file without the white space around them; blank ones are left out.

    A byte order mark and the line ends of Windows are no part of them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 ({error}); save it so') from None
    # Not splitlines(), which parts lines at what names may hold, such as U+2028.
    return [line.strip() for line in text.split('\n') if line.strip()]
