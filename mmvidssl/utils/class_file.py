"""The file of class names that lies beside lists of videos."""

import os
from pathlib import Path

CLASS_FILE = 'classes.txt'


def read_class_file(path: str | os.PathLike) -> list[str]:
    """Names of classes, one a line, in the order of their labels."""
    lines = Path(path).read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip()]
