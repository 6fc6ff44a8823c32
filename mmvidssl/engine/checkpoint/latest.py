"""Which checkpoint to go on from."""

from pathlib import Path

from mmengine.logging import MMLogger

LAST_CHECKPOINT = 'last_checkpoint'


def find_resumable(work_dir: str | Path, pattern: str) -> str | None:
    """The checkpoint that ``work_dir/last_checkpoint`` names, or the newest one there is.

    Args:
        work_dir: Folder of the run.
        pattern: Of the names of checkpoints, for ``Path.glob``.

    Returns:
        A path; None if the run has written no checkpoint yet.

    Raises:
        FileNotFoundError: if a checkpoint is named, but there is none at all.
    """
    note = Path(work_dir, LAST_CHECKPOINT)
    if not note.is_file():
        return None
    named = Path(note.read_text(encoding='utf-8').strip() or pattern)
    if named.is_file():
        return str(named)
    candidates = sorted(Path(work_dir).glob(pattern), key=lambda path: path.stat().st_mtime)
    if not candidates:
        raise FileNotFoundError(
            f'{note} names {named}, which does not exist, and {work_dir} holds no other checkpoint '
            f'({pattern}). Put the file back, name one with --resume PATH, or remove {note} to '
            'start anew.'
        )
    MMLogger.get_current_instance().warning(
        f'{note} names {named}, which does not exist; going on from the newest checkpoint there '
        f'is, {candidates[-1]}'
    )
    return str(candidates[-1])
