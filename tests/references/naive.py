"""The formulas as loops, slow and plain, to hold the package's against."""

import torch
from torch import Tensor


def sinkhorn_knopp(scores: Tensor, epsilon: float, num_iters: int) -> Tensor:
    """One sample ``(N, O)``: exponentials scaled in turn, in double precision; rows sum to one."""
    plan = torch.exp(scores.double() / epsilon)
    num_tokens, num_objects = plan.shape
    for _ in range(num_iters):
        for column in range(num_objects):
            plan[:, column] /= plan[:, column].sum() * num_objects
        for row in range(num_tokens):
            plan[row] /= plan[row].sum() * num_tokens
    return plan * num_tokens


def cross_entropy(logits: Tensor, target: Tensor, student_temp: float) -> Tensor:
    """Batch mean for logits ``(B, K)`` and probabilities ``(B, K)``."""
    terms = []
    for row, goal in zip(logits, target, strict=True):
        probs = torch.softmax(row.double() / student_temp, dim=0)
        terms.append(-(goal.double() * probs.log()).sum())
    return torch.stack(terms).mean()


def dino_loss(
    student_views: list[Tensor], targets: list[Tensor], student_temp: float = 0.1
) -> Tensor:
    """Mean over pairs of a target and a view that is not the same; all are ``(T, B, K)``.

    ``student_views`` starts with the global views, in the order of ``targets``; those the student
    did not see are None.
    """
    pairs = []
    for g, target in enumerate(targets):
        for v, view in enumerate(student_views):
            if v == g or view is None:
                continue
            frames = [cross_entropy(view[t], target[t], student_temp) for t in range(len(target))]
            pairs.append(sum(frames) / len(frames))
    return sum(pairs) / len(pairs)


def dora_released_loss(
    objects: Tensor, local_views: Tensor, target: Tensor, student_temp: float = 0.1
) -> Tensor:
    """DoRA's loss with the faults of the released code.

    The loss of the frames is not set to zero for the next object and is divided anew, and the first
    local crop is left out.
    """
    running, total = 0.0, 0.0
    for student in objects:
        for t in range(len(target)):
            local_terms = [
                cross_entropy(view[t], target[t], student_temp) for view in local_views[1:]
            ]
            object_term = cross_entropy(student[t], target[t], student_temp)
            running = running + 0.5 * (object_term + sum(local_terms) / len(local_terms))
        running = running / len(target)
        total = total + running
    return total / len(objects)


def dora_paper_loss(
    objects: Tensor, local_views: Tensor, target: Tensor, student_temp: float = 0.1
) -> Tensor:
    """Half the mean over objects and frames, plus half the mean over local crops and frames."""
    object_terms = [
        cross_entropy(view[t], target[t], student_temp)
        for view in objects
        for t in range(len(target))
    ]
    local_terms = [
        cross_entropy(view[t], target[t], student_temp)
        for view in local_views
        for t in range(len(target))
    ]
    return 0.5 * sum(object_terms) / len(object_terms) + 0.5 * sum(local_terms) / len(local_terms)
