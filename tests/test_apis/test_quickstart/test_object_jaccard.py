"""Jaccard index of the best tracked object, on sequences laid out as DAVIS has them."""

import pytest
import torch
from torch import nn

from mmvidssl.apis.quickstart.object_jaccard import ObjectJaccard
from mmvidssl.models.utils import TrackResult


class Sides(nn.Module):
    """Finds two objects, whatever it sees: one to the left, one to the right.

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
        rightward = torch.arange(width // 8).expand(1, length, height // 8, -1).float()
        maps = torch.stack([-rightward, rightward])
        return TrackResult(maps > -1, maps, *[None] * (len(TrackResult._fields) - 2))


def test_the_best_object_counts_by_the_fifth_of_highest_weight(davis):
    model = Sides()
    columns = 6 / 28  # a fifth, and the rest of the last column
    assert ObjectJaccard(davis)(model) == pytest.approx((columns / 0.5 + columns) / 2, abs=0.01)
    assert model.seen == (1, 3, 12, 112, 224)


def test_what_is_missing_is_named(davis, tmp_path):
    with pytest.raises(FileNotFoundError, match='elsewhere'):
        ObjectJaccard(tmp_path / 'elsewhere')
    mask = davis / 'Annotations/480p/all/00000.png'
    mask.unlink()
    with pytest.raises(FileNotFoundError, match='00000.png'):
        ObjectJaccard(davis)
