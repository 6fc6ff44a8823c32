"""Health measures of training that need no labels: collapse, tracking, prediction."""

import math
from itertools import combinations

import torch
from torch import Tensor

from .outputs import TrackResult


def entropy(probs: Tensor) -> Tensor:
    """Distributions ``(..., K)`` -> their entropies ``(...)`` in nats, between 0 and ``ln K``."""
    return torch.special.entr(probs.float()).sum(dim=-1)


def second_moment(features: Tensor) -> Tensor:
    """Mean outer product ``(D, D)`` of features ``(..., D)``, float64.

    In float32 rounding errors would look like further directions of a collapsed model's features.
    """
    rows = features.flatten(0, -2).double()
    return rows.T @ rows / len(rows)


def effective_rank(moment: Tensor) -> Tensor:
    """Effective rank of features: the exponential of the entropy of their singular values.

    The features are not centered. A complete collapse, in which all rows are alike, is then rank 1
    whatever the rounding errors; centered, only rounding errors would be left.

    Args:
        moment: ``(D, D)``, their :func:`second_moment`.

    Returns:
        Scalar float32 between 1 and ``D``; 0 if all features are zero, NaN if one is not finite.

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007, equations 3 and 4.
    """
    # The decomposition refuses what is not finite. A NaN must reach the log, not end the run here.
    values = torch.linalg.eigvalsh(moment.nan_to_num(0, 0, 0)).clamp_min(0).sqrt()
    total = values.sum()
    rank = entropy(values / total.clamp_min(torch.finfo(values.dtype).tiny)).exp()
    rank = torch.where(total > 0, rank, torch.zeros_like(rank))
    return torch.where(moment.isfinite().all(), rank, torch.full_like(rank, torch.nan))


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
        Scalar: the largest deviation of an object's total from ``N / O`` in a clip, relative to it,
        as a mean over clips.
    """
    num_tokens, num_objects = assignment.shape[-2:]
    totals = assignment.float().sum(dim=-2)
    return (totals * (num_objects / num_tokens) - 1).abs().amax(dim=-1).mean()


@torch.compiler.disable
@torch.no_grad()
def health_figures(means: dict[str, Tensor]) -> dict[str, Tensor]:
    """Health figures (scalars by name), computed from the measures of the functions below.

    All measures are means over a batch, so their mean over passes or processes (of one batch size)
    is the measure of one large batch.

    Returns:
        ``teacher_kl``, the targets' divergence from the uniform distribution, is ``ln K`` minus
        ``teacher_entropy``. ``teacher_batch_entropy`` is the entropy of the mean target, near zero
        only if all targets name one prototype. ``rank_*`` are effective ranks. ``explained`` is the
        share of the targets' variance that is predicted: one minus the squared error over that of
        the mean target, so 0 is no better than the mean. ``spread`` is the predictions' standard
        deviation over tokens relative to the targets', 0 if all predictions are equal.
        ``code_majority`` is the share of the most frequent code. Other scalars stay as they are.
    """
    figures = {name: value for name, value in means.items() if value.ndim == 0 and name != 'error'}
    for name in filter(lambda name: name.startswith('rank_'), means):
        figures[name] = effective_rank(means[name])
    if 'mean_target' in means:
        figures['teacher_batch_entropy'] = entropy(means['mean_target'])
        figures['teacher_kl'] = math.log(len(means['mean_target'])) - means['teacher_entropy']
    if 'code_shares' in means:
        figures['code_majority'] = means['code_shares'].max()
    if 'error' in means:
        pred, target = _variance(means['pred_moments']), _variance(means['target_moments'])
        target = target.clamp_min(torch.finfo(torch.float32).tiny)
        figures['explained'] = 1 - means['error'] / target
        figures['spread'] = (pred / target).sqrt()
    return figures


def _moments(values: Tensor) -> Tensor:
    """Means of values ``(M, Q)`` and of their squares, ``(2, Q)`` float64."""
    values = values.double()
    return torch.stack((values, values.square())).mean(dim=1)


def _variance(moments: Tensor) -> Tensor:
    """Variance of the values that :func:`_moments` was given, averaged over ``Q``."""
    return (moments[1] - moments[0].square()).clamp_min(0).mean()


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
        Means for :func:`health_figures`.
    """
    targets = target.flatten(0, -2)
    return dict(
        teacher_entropy=entropy(targets).mean(),
        mean_target=targets.float().mean(dim=0),
        rank_teacher=second_moment(teacher_features),
        rank_student=second_moment(student_features),
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
        Means for :func:`health_figures`.
    """
    health = dict(rank_tokens=second_moment(tokens))
    if not target.is_floating_point():
        codes = target[:, 0]
        health['code_accuracy'] = (pred.argmax(dim=-1) == codes).float().mean()
        health['code_shares'] = torch.bincount(codes, minlength=pred.shape[-1]) / len(codes)
        return health
    health['error'] = (pred.double() - target.double()).square().mean()
    health['pred_moments'], health['target_moments'] = _moments(pred), _moments(target)
    return health
