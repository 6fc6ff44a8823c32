import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmvidssl.registry import MODELS
from tests.utils_model import noise


@MODELS.register_module(force=True)
class SquareOfKnown(nn.Module):
    loss_name = 'loss_square'

    def forward(self, depth, target):
        return ((depth - target) ** 2)[target > 0].mean()


def build(**changes):
    torch.manual_seed(0)
    cfg = dict(type='mmvidssl.LinearDepthHead', in_channels=5, num_bins=7, max_depth=4.0)
    head = MODELS.build({**cfg, 'loss_decode': dict(type='mmvidssl.SquareOfKnown'), **changes})
    head.init_weights()
    return head


def naive_depth(head, features):
    """Features enlarged first, as the reference does; one pixel after the other."""
    size = [4 * side for side in features.shape[-2:]]
    features = nn.functional.interpolate(features, size, mode='bilinear', align_corners=False)
    depth = torch.zeros(len(features), 1, *size)
    for b in range(len(features)):
        for y in range(size[0]):
            for x in range(size[1]):
                logits = head.linear.weight[:, :, 0, 0] @ features[b, :, y, x] + head.linear.bias
                weights = logits.clamp(min=0) + 0.1
                depth[b, 0, y, x] = (weights / weights.sum()) @ head.bins
    return depth


def test_depth_is_the_mean_of_the_bins():
    head, features = build(), 20 * noise(2, 5, 2, 3)
    head.linear.bias.data.normal_()
    torch.testing.assert_close(head([features]), naive_depth(head, features))


def test_bins_span_the_range():
    bins = build(min_depth=0.5).bins
    torch.testing.assert_close(bins, torch.tensor([0.5 + 3.5 * k / 6 for k in range(7)]))


def test_bins_are_no_weights():
    assert set(build().state_dict()) == {'linear.weight', 'linear.bias'}


def samples(depth):
    return [SegDataSample(gt_depth_map=PixelData(data=one)) for one in depth]


def test_loss_leaves_out_what_is_unknown_or_too_far():
    head, features = build(), noise(2, 5, 2, 3)
    target = torch.full((2, 1, 16, 24), 3.0)
    target[0, 0, :3] = 0
    target[1, 0, :, :5] = 4.5
    losses = head.loss([features], samples(target))
    depth = nn.functional.interpolate(head([features]), (16, 24), mode='bilinear')
    known = (target > 0) & (target <= 4)
    expected = ((depth - target) ** 2)[known].mean()
    torch.testing.assert_close(losses['loss_square'], expected)
    losses['loss_square'].backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in head.parameters())


def test_prediction_has_the_size_of_the_image():
    head = build()
    depth = head.predict([noise(2, 5, 2, 3)], [dict(img_shape=(30, 47, 3))] * 2)
    assert depth.shape == (2, 1, 30, 47)
    assert (depth > 0).all() and (depth < 4).all()


@pytest.mark.parametrize(
    'wrong', [dict(min_depth=0.0), dict(min_depth=5.0), dict(num_bins=1)], ids=str
)
def test_impossible_bins_are_refused(wrong):
    with pytest.raises(ValueError, match='min_depth=.*num_bins='):
        build(**wrong)
