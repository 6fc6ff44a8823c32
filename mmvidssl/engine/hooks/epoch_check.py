"""A mistake that several hooks must refuse."""

from mmengine.runner import IterBasedTrainLoop


def check_loop_counts_epochs(runner, setting: str) -> None:
    """Refuse to wait for epochs in a loop that has none.

    Args:
        runner: The runner.
        setting: The hook and what it counts in epochs, for the message.

    Raises:
        ValueError: says which option to set.
    """
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        raise ValueError(
            f'{setting} counts epochs, but train_cfg is an IterBasedTrainLoop, which has none. '
            'Set by_epoch=False and give the number in iterations, or use '
            "type='ResumableIterTrainLoop'."
        )
