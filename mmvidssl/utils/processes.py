"""The processes of a run."""

from torch import distributed


def leave_group() -> None:
    """Leave the group of processes, if there is one: for the end of a run that succeeded.

    PyTorch asks for it: without it one that leaves first may end the others in an abort.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
