"""Measures of whether training is well that need no labels: collapse, tracking, prediction."""

import math
from itertools import combinations

import torch
from torch import Tensor

from .outputs import TrackResult


def entropy(probs: Tensor) -> Tensor:
    """Distributions ``(..., K)`` -> their entropies ``(...)`` in nats, between 0 and ``ln K``."""
    return torch.special.entr(probs.float()).sum(dim=-1)


def effective_rank(features: Tensor, max_rows: int = 256) -> Tensor:
    """Effective rank of features: the exponential of the entropy of their singular values.

    The features are not centered. A complete collapse, in which all rows are alike, is then rank 1
    whatever the rounding errors; centered, the rounding errors would be all there is.

    Args:
        features: ``(N, D)``.
        max_rows: Of more rows than that, evenly spaced ones are taken.

    Returns:
        Scalar float32 between 1 and ``min(N, D)``; 0 if all features are zero.

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007, equations 3 and 4.
    """
    if len(features) > max_rows:
        rows = torch.linspace(0, len(features) - 1, max_rows, device=features.device)
        features = features[rows.round().long()]
    with torch.autocast(features.device.type, enabled=False):
        # The SVD refuses what is not finite. A NaN must reach the log, not end the run here.
        finite = features.float().nan_to_num(0, 0, 0)
        values = torch.linalg.svdvals(finite)
    total = values.sum()
    rank = entropy(values / total.clamp_min(torch.finfo(values.dtype).tiny)).exp()
    rank = torch.where(total > 0, rank, torch.zeros_like(rank))
    return torch.where(features.isfinite().all(), rank, torch.full_like(rank, torch.nan))


def mask_overlap(masks: Tensor) -> Tensor:
    """Mean intersection over union of all pairs of objects in a frame.

    Args:
        masks: ``(O, B, T, h, w)``, bool, or soft weights in [0, 1], for which the intersection is
            the sum of minima and the union the sum of maxima.

    Returns:
        Scalar between 0 (nothing in common) and 1 (all objects are one); 0 for a single object and
        for pairs of empty masks.
    """
    masks = masks.float().flatten(3)
    pairs = list(combinations(range(len(masks)), 2))
    if not pairs:
        return masks.new_zeros(())
    first, second = (masks[list(index)] for index in zip(*pairs, strict=True))
    intersection = torch.minimum(first, second).sum(dim=-1)
    union = torch.maximum(first, second).sum(dim=-1)
    return (intersection / union.clamp_min(torch.finfo(union.dtype).tiny)).mean()


def sinkhorn_residual(assignment: Tensor) -> Tensor:
    """Residual of Sinkhorn-Knopp: how far it is from having converged.

    Args:
        assignment: ``(B, N, O)`` share of each patch that goes to each object, rows sum to one.

    Returns:
        Scalar: the largest deviation of an object's total from ``N / O``, relative to it.
    """
    num_tokens, num_objects = assignment.shape[-2:]
    totals = assignment.float().sum(dim=-2)
    return (totals * (num_objects / num_tokens) - 1).abs().amax()


@torch.compiler.disable
@torch.no_grad()
def distillation_health(
    target: Tensor, teacher_features: Tensor, student_features: Tensor, center: Tensor
) -> dict[str, Tensor]:
    """Measures of a student and its teacher.

    Args:
        target: ``(..., K)`` probabilities.
        teacher_features: ``(..., D)`` class tokens of the teacher.
        student_features: ``(..., D)`` class tokens of the student.
        center: ``(1, K)``.

    Returns:
        Scalars. ``teacher_entropy`` and ``teacher_kl`` (to the uniform distribution) are means over
        targets and add up to ``ln K``; ``teacher_batch_entropy`` is the entropy of the mean target,
        which is near zero only if all targets name one prototype.
    """
    targets = target.flatten(0, -2)
    entropies = entropy(targets)
    return dict(
        teacher_entropy=entropies.mean(),
        teacher_kl=(math.log(targets.shape[-1]) - entropies).mean(),
        teacher_batch_entropy=entropy(targets.float().mean(dim=0)),
        rank_teacher=effective_rank(teacher_features.flatten(0, -2)),
        rank_student=effective_rank(student_features.flatten(0, -2)),
        center_norm=center.float().norm(),
    )


@torch.compiler.disable
@torch.no_grad()
def tracking_health(track: TrackResult) -> dict[str, Tensor]:
    """Measures of tracked objects: coverage, overlap and, if it is used, Sinkhorn-Knopp."""
    coverage = track.masks.float().mean()  # share of a frame that one object takes
    health = dict(mask_coverage=coverage, mask_overlap=mask_overlap(track.masks))
    if track.assignment is not None:
        health['sinkhorn_residual'] = sinkhorn_residual(track.assignment)
    return health


@torch.compiler.disable
@torch.no_grad()
def prediction_health(pred: Tensor, target: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    """Measures of a model that predicts features of masked tokens.

    Args:
        pred: ``(M, Q)`` predictions of the masked tokens, in the units of the target; for codes,
            one score for each of ``Q`` codes.
        target: Floats ``(M, Q)``: features, pixels or probabilities. Or integers ``(M, 1)``: codes
            in ``[0, Q)``, which have no variance to explain, only an accuracy.
        tokens: ``(M, D)`` what the predictions were made from.

    Returns:
        Scalars. ``explained`` is the share of the targets' variance that is predicted: one minus
        the squared error over that of the batch's mean target, so 0 is no better than the mean.
        ``spread`` is the predictions' standard deviation over tokens relative to the targets', 0
        if all tokens get one prediction. ``rank_tokens`` is the effective rank of the tokens. For
        codes: ``code_accuracy`` and, of the most frequent code, ``code_majority``.
    """
    health = dict(rank_tokens=effective_rank(tokens))
    if not target.is_floating_point():
        codes = target[:, 0]
        health['code_accuracy'] = (pred.argmax(dim=-1) == codes).float().mean()
        health['code_majority'] = (codes == codes.mode().values).float().mean()
        return health
    pred, target = pred.float(), target.float()
    variance = target.var(dim=0, correction=0).mean()
    tiny = torch.finfo(variance.dtype).tiny
    health['explained'] = 1 - (pred - target).square().mean() / variance.clamp_min(tiny)
    spread = pred.var(dim=0, correction=0).mean() / variance.clamp_min(tiny)
    health['spread'] = spread.sqrt()
    return health
