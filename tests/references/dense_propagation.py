"""Label propagation as the papers' codes do it: all tokens compared with all, then masked."""

import torch
import torch.nn.functional as F
from torch import Tensor


def propagate_labels(
    features: Tensor,
    first_labels: Tensor,
    num_context: int,
    radius: int,
    topk: int,
    temperature: float,
) -> Tensor:
    """As the package's function of this name."""
    num_classes, h, w = first_labels.shape
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
    apart = [(axis.reshape(-1, 1) - axis.reshape(1, -1)).abs() for axis in (rows, columns)]
    near = (torch.maximum(*apart) <= radius).float()  # (h*w, h*w)
    features = F.normalize(features, dim=-1)
    labels = [first_labels.flatten(1)]
    for time in range(1, len(features)):
        context = sorted({0, *range(max(0, time - num_context), time)})
        sources = features[context]
        affinity = torch.exp(features[time] @ sources.transpose(1, 2) / temperature)
        affinity *= near  # (S, queries, keys)
        affinity = affinity.transpose(1, 2).reshape(-1, h * w)  # (S * keys, queries)
        least = affinity.topk(min(topk, len(affinity)), dim=0).values.min(dim=0).values
        affinity[affinity < least] = 0
        affinity = affinity / affinity.sum(dim=0, keepdim=True)
        known = torch.stack([labels[i] for i in context], dim=1)  # (C, S, keys)
        labels.append(known.flatten(1) @ affinity)
    return torch.stack(labels[1:]).view(-1, num_classes, h, w)
