"""Named tuples that the parts of an algorithm exchange."""

from typing import NamedTuple

from torch import Tensor


class FrameTokens(NamedTuple):
    """Tokens of the frames of a clip, with the query, keys and attention that a tracker needs.

    Attributes:
        class_token: ``(T, B, D)`` after the final norm.
        patches: ``(B, N, D)`` patch tokens of the first frame after the final norm.
        class_attention: ``(B, heads, N)`` attention of the first frame's class token to its patches
            (its share for the class token itself is left out, so rows sum to less than one).
        query: ``(B, heads, 1 + N, d)`` of the first frame, class token first, unscaled.
        key: ``(T, B, heads, 1 + N, d)`` of all frames, class token first.
        grid: Token grid ``(h, w)``, ``N = h * w``.
    """

    class_token: Tensor
    patches: Tensor
    class_attention: Tensor
    query: Tensor
    key: Tensor
    grid: tuple[int, int]


class ClipTokens(NamedTuple):
    """Tokens of a clip as a whole.

    Attributes:
        tokens: ``(B, N, D)`` patch tokens after the final norm, in the order ``t, h, w``, without
            the class token.
        grid: Token grid ``(t, h, w)``, ``N = t * h * w``.
    """

    tokens: Tensor
    grid: tuple[int, int, int]


class TrackResult(NamedTuple):
    """Objects found in the first frame of a clip and followed through it.

    Attributes:
        masks: ``(O, B, T, h, w)``, bool (True where the object is) or soft weights in [0, 1].
        maps: ``(O, B, T, h, w)`` cross-attention of each object to each frame; a frame sums to one.
        prototypes: ``(B, O, D)`` before refinement.
        assignment: ``(B, N, O)`` share of each patch that goes to each object, or None where
            Sinkhorn-Knopp is off.
        heads: The attention heads that the objects were found with, ``O`` indices.
    """

    masks: Tensor
    maps: Tensor
    prototypes: Tensor
    assignment: Tensor | None
    heads: tuple[int, ...]
