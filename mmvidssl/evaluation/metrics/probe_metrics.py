"""Classification of frozen features: nearest neighbours and a linear probe."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmvidssl.registry import METRICS

from ..functional import fit_linear_probe, knn_accuracy, select_linear_probe
from ..functional.linear_probe import PENALTIES

FeatureSet = tuple[Tensor, Tensor]
"""Features ``(M, D)`` and labels ``(M,)``."""


class FeatureMetric(BaseMetric):
    """Base of metrics that collect features and labels of two splits.

    Data samples have ``features`` ``(D,)``, or ``(T, D)``, whose mean is taken; ``gt_label``;
    ``split`` (see ``SetKeys``), ``'train'`` or another; and ``img_path`` or ``filename``.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep name, mean feature, label and split of each sample of a batch."""
        for sample in data_samples:
            features = sample['features']
            label = torch.as_tensor(sample.get('gt_label', -1)).flatten()
            self.results.append(
                dict(
                    name=sample.get('img_path') or sample['filename'],
                    features=features.reshape(-1, features.shape[-1]).mean(dim=0).cpu(),
                    label=int(label[0]) if len(label) else -1,
                    is_train=sample['split'] == 'train',
                )
            )

    def gather(self, results: Sequence[dict]) -> tuple[FeatureSet, FeatureSet, int]:
        """Training and test set, sorted by name, and the number of classes.

        Raises:
            ValueError: if one of them is empty or has a sample without a class; names it.
        """
        by_name = {result['name']: result for result in results}
        classes = (self.dataset_meta or {}).get('classes')
        num_classes = len(classes or ()) or 1 + max(r['label'] for r in by_name.values())
        for name, result in by_name.items():
            if not 0 <= result['label'] < num_classes:
                raise ValueError(
                    f'{name} has the label {result["label"]}, of {num_classes} classes'
                )
        sets = []
        for is_train in (True, False):
            rows = [by_name[name] for name in sorted(by_name)]
            rows = [row for row in rows if row['is_train'] is is_train]
            if not rows:
                raise ValueError(
                    f'no sample is {"" if is_train else "not "}of the split "train"; mark the data '
                    "sets' samples by dict(type='SetKeys', split=...) in their pipelines"
                )
            labels = torch.tensor([row['label'] for row in rows])
            sets.append((torch.stack([row['features'] for row in rows]), labels))
        return sets[0], sets[1], num_classes


@METRICS.register_module()
class KNNMetric(FeatureMetric):
    """k-NN accuracy in percent: nearest training samples vote, weighted (DINO, section 4.1).

    Args:
        k: Numbers of neighbours to evaluate.
        temperature: Temperature of the vote.
        **kwargs: As in MMEngine's ``BaseMetric``.
    """

    default_prefix = 'knn'

    def __init__(
        self, k: Sequence[int] = (10, 20, 100, 200), temperature: float = 0.07, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.k, self.temperature = tuple(k), temperature

    def compute_metrics(self, results: list) -> dict[str, float]:
        """``top1_k<k>`` for each k."""
        train, test, num_classes = self.gather(results)
        (bank, labels), (features, expected) = (
            tuple(tensor.to(get_device()) for tensor in part) for part in (train, test)
        )
        return {
            f'top1_k{k}': 100
            * knn_accuracy(bank, labels, features, expected, num_classes, k, self.temperature)
            for k in self.k
        }


@METRICS.register_module()
class LinearProbeMetric(FeatureMetric):
    """Accuracy in percent of logistic regression on the training samples' features.

    The penalty is the one most accurate on every fifth training sample when fitted to the others;
    the probe is then fitted to all training samples with it.

    Args:
        penalties: Penalties to choose from; see :func:`fit_linear_probe`.
        **kwargs: As in MMEngine's ``BaseMetric``.
    """

    default_prefix = 'linear'

    def __init__(self, penalties: Sequence[float] = PENALTIES, **kwargs) -> None:
        super().__init__(**kwargs)
        self.penalties = tuple(penalties)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """``top1``, and the ``penalty``."""
        (features, labels), test, num_classes = self.gather(results)
        penalty = self.penalties[0]
        if len(self.penalties) > 1:
            held_out = torch.arange(len(labels)) % 5 == 0
            train, val = ((features[mask], labels[mask]) for mask in (~held_out, held_out))
            penalty = select_linear_probe(train, val, num_classes, self.penalties).penalty
        probe = fit_linear_probe(features, labels, num_classes, penalty)
        return dict(top1=100 * probe.accuracy(*test), penalty=penalty)
