"""Random draws that a resumed run repeats."""

import torch


def counted_generator(seed: int, count: int) -> torch.Generator:
    """A CPU generator for draw number ``count`` of the stream ``seed``.

    It depends on nothing else, so all ranks draw alike, and a run that keeps the count in a buffer
    goes on after a stop as it would have.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + count)
