"""Which checkpoint to go on from."""

import re
from pathlib import Path

from mmengine.logging import MMLogger

LAST_CHECKPOINT = 'last_checkpoint'


def find_resumable(
    work_dir: str | Path, pattern: str, out_dir: str | Path | None = None
) -> str | None:
    """The checkpoint that ``work_dir/last_checkpoint`` names, or the newest one there is.

    Newest is that of the largest number in its name: copying a run changes the times of its files.

    Args:
        work_dir: Folder of the run.
        pattern: Of the names of checkpoints, ``*`` standing for a number.
        out_dir: Folder of the checkpoints, where it is not ``work_dir``; both are searched.

    Returns:
        A path; None if the run has written no checkpoint yet.

    Raises:
        FileNotFoundError: if a checkpoint is named, but there is none at all.
    """
    note = Path(work_dir, LAST_CHECKPOINT)
    problem = f'{note} does not exist'
    if note.is_file():
        named = Path(note.read_text(encoding='utf-8').strip() or pattern)
        if named.is_file():
            return str(named)
        problem = f'{note} names {named}, which does not exist'
    folders = [Path(work_dir)] if out_dir is None else [Path(out_dir), Path(work_dir)]
    newest = _find_newest(folders, pattern)
    if newest is not None:
        MMLogger.get_current_instance().warning(
            f'{problem}; going on from the newest checkpoint there is, {newest}'
        )
        return str(newest)
    if not note.is_file():
        return None
    searched = ' and '.join(str(folder) for folder in dict.fromkeys(folders))
    raise FileNotFoundError(
        f'{problem}, and there is no other checkpoint ({pattern}) in {searched}. Put the file '
        f'back, name one with --resume PATH, or remove {note} to start anew.'
    )


def _find_newest(folders: list[Path], pattern: str) -> Path | None:
    """The file of the largest number, the one in the first folder of those with the same."""
    name = re.compile(re.escape(pattern).replace(r'\*', r'(\d+)'))
    numbers = {}
    for folder in folders:
        for path in folder.glob('*'):
            match = name.fullmatch(path.name)
            if match and path.is_file():
                numbers[path] = int(match[1])
    return max(numbers, key=lambda path: numbers[path], default=None)
