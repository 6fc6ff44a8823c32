"""Jaccard index of the best tracked object, on sequences laid out as DAVIS has them."""

import pytest
import torch
from torch import nn

from mmvidssl.apis.quickstart.object_jaccard import ObjectJaccard
from mmvidssl.models.utils import TrackResult


class Quarters(nn.Module):
    """Finds two objects, whatever it sees: the left half, and the upper left quarter.

    Of what a real model finds, nothing could be said beforehand.
    """

    def __init__(self):
        super().__init__()
        self.teacher = nn.Module()
        self.teacher.backbone = nn.Module()
        self.teacher.backbone.patch_size = (8, 8)

    def data_preprocessor(self, data):
        return dict(inputs=dict(clip=torch.stack(data['inputs']['clip']).float()))

    def track(self, clip):
        self.seen = tuple(clip.shape)
        _, _, length, height, width = clip.shape
        masks = torch.zeros(2, 1, length, height // 8, width // 8, dtype=torch.bool)
        masks[..., : width // 16] = True
        masks[1, :, :, height // 16 :] = False
        return TrackResult(masks, masks.float(), *[None] * (len(TrackResult._fields) - 2))


def test_the_best_object_counts(davis):
    model = Quarters()
    assert ObjectJaccard(davis)(model) == pytest.approx((1.0 + 0.5) / 2)
    assert model.seen == (1, 3, 12, 112, 224)


def test_what_is_missing_is_named(davis, tmp_path):
    with pytest.raises(FileNotFoundError, match='elsewhere'):
        ObjectJaccard(tmp_path / 'elsewhere')
    mask = davis / 'Annotations/480p/all/00000.png'
    mask.unlink()
    with pytest.raises(FileNotFoundError, match='00000.png'):
        ObjectJaccard(davis)
