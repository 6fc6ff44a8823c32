"""Check of class labels, shared by k-NN and the linear probe."""

from torch import Tensor


def check_labels(labels: Tensor, features: Tensor, num_classes: int) -> None:
    """Check that features ``(N, D)`` have labels ``(N,)``, integers in ``[0, num_classes)``.

    Raises:
        ValueError: If not; names the first that is out of range (an unlabelled sample's, say).
    """
    if labels.shape != features.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f'{len(features)} samples need as many integer labels, got {labels.dtype} of shape '
            f'{tuple(labels.shape)}'
        )
    is_wrong = (labels < 0) | (labels >= num_classes)
    if is_wrong.any():
        first = int(is_wrong.nonzero()[0])
        raise ValueError(
            f'labels must lie in [0, {num_classes}), got {int(labels[first])} for sample {first}, '
            f'and {int(is_wrong.sum())} such in all; leave out samples without a label'
        )
