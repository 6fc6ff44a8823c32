"""A shuffled order that is computed, not stored."""

import math
from collections.abc import Sequence

import numpy as np

NUM_ROUNDS = 8
MAX_LENGTH = 2**62  # both digits of a position below 2**31
MAX_STORED = 2**12  # a network on fewer than 64 x 64 would favour some orders


class Permutation:
    """A permutation of ``0 .. length - 1``, a function of its key alone.

    Holds a handful of numbers whatever the length, and gives the element at any position at once:
    a Feistel network on positions written in two digits. A round adds to one digit a number hashed
    from the other, which can be undone, so that the whole is one-to-one whatever the hash. The two
    digits have slightly more values than ``length``; what falls outside is put through again until
    it falls inside (cycle walking), which leaves it one-to-one. Up to 4096 elements are NumPy's
    permutation, stored: so short, the network would not reach all orders equally often.

    Args:
        length: How many elements, 1 to 2**62.
        key: Non-negative numbers, such as (seed, epoch).
    """

    def __init__(self, length: int, key: Sequence[int]) -> None:
        if not 1 <= length <= MAX_LENGTH:
            raise ValueError(f'length must be in 1..2**62, got {length}')
        self.length = length
        self.stored = None
        if length <= MAX_STORED:
            self.stored = np.random.default_rng(list(key)).permutation(length)
        # The smallest high * low >= length with both near the root: little falls outside.
        low = math.isqrt(length - 1) + 1
        self.bases = (np.uint64(-(-length // low)), np.uint64(low))
        self.round_keys = np.random.SeedSequence(list(key)).generate_state(NUM_ROUNDS, np.uint64)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Elements int64 ``(P,)`` at ``positions`` ``(P,)``, each in ``[0, length)``."""
        if self.stored is not None:
            return self.stored[positions]
        elements = self._shuffle(np.asarray(positions).astype(np.uint64))
        outside = np.flatnonzero(elements >= self.length)
        while outside.size:
            elements[outside] = self._shuffle(elements[outside])
            outside = outside[elements[outside] >= self.length]
        return elements.astype(np.int64)

    def _shuffle(self, positions: np.ndarray) -> np.ndarray:
        """The network itself, on ``[0, high * low)``; uint64 ``(P,)`` to uint64 ``(P,)``."""
        digits = list(np.divmod(positions, self.bases[1]))
        for number, round_key in enumerate(self.round_keys):
            changed, base = number % 2, self.bases[number % 2]
            digits[changed] += _hash_below(digits[1 - changed], round_key, base)
            digits[changed] -= base * (digits[changed] >= base)
        return digits[0] * self.bases[1] + digits[1]


def _hash_below(values: np.ndarray, key: np.uint64, base: np.uint64) -> np.ndarray:
    """Hash uint64 ``(P,)`` to ``[0, base)``, ``base`` at most 2**31."""
    half = np.uint64(32)
    mixed = (values ^ key) * np.uint64(0x9E3779B97F4A7C15)  # odd: one-to-one modulo 2**64
    mixed ^= mixed >> half
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> half
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    return ((mixed >> half) * base) >> half
