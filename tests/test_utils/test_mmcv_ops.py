"""torchvision's operators in mmcv's place: figures of compiled mmcv 2.1.0, and closed forms."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmvidssl.utils import mmcv_ops

FIGURES = Path(__file__).resolve().parents[1] / 'data/mmcv_ops_small.npz'
SIZE = (7, 5)


@pytest.fixture(scope='module')
def figures():
    """Tensors, and plain numbers where there is one."""
    with np.load(FIGURES) as data:
        return {k: v.item() if v.ndim == 0 else torch.from_numpy(v) for k, v in data.items()}


@pytest.fixture(scope='module')
def ops():
    """mmcv.ops, whose compiled operators are replaced by ours, whichever mmcv there is."""
    import mmcv.ops

    patch = pytest.MonkeyPatch()
    for module in list(sys.modules.values()):
        if getattr(module, '__name__', '').startswith('mmcv.ops.') and hasattr(
            module, 'ext_module'
        ):
            patch.setattr(module, 'ext_module', mmcv_ops)
    yield mmcv.ops
    patch.undo()


@pytest.mark.parametrize('i', range(8))
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_roi_align(i, dtype, ops, figures):
    feats = figures[f'roi{i}_feat'].detach().to(dtype, copy=True).requires_grad_()
    out = ops.roi_align(
        feats,
        figures[f'roi{i}_rois'],
        SIZE,
        figures[f'roi{i}_scale'],
        figures[f'roi{i}_sampling_ratio'],
        'avg',
        bool(figures[f'roi{i}_aligned']),
    )
    (out * figures[f'roi{i}_weight']).sum().backward()
    tolerance = 1e-6 if dtype == torch.float32 else 0.05
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), figures[f'roi{i}_out'], rtol=0, atol=tolerance)
    torch.testing.assert_close(
        feats.grad.float(), figures[f'roi{i}_grad'], rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize('j', range(2))
def test_nms(j, ops, figures):
    boxes, scores = figures[f'nms{j}_boxes'], figures[f'nms{j}_scores']
    dets, keep = ops.nms(boxes, scores, 0.5, offset=figures[f'nms{j}_offset'])
    assert torch.equal(keep, figures[f'nms{j}_keep'])
    assert torch.equal(dets, figures[f'nms{j}_dets'])
    labels, how = figures[f'bnms{j}_labels'], dict(type='nms', iou_threshold=0.6)
    _, keep = ops.batched_nms(boxes, scores, labels, how)
    assert torch.equal(keep, figures[f'bnms{j}_keep'])


def test_soft_nms(ops, figures):
    boxes, scores = figures['nms1_boxes'], figures['nms1_scores']
    dets, keep = ops.soft_nms(boxes, scores, 0.5, 0.5, 1e-3, 'linear')
    assert torch.equal(keep, figures['soft_keep'])
    torch.testing.assert_close(dets, figures['soft_dets'], rtol=0, atol=1e-6)


@pytest.mark.parametrize('offset', [0, 1])
def test_soft_nms_that_is_hard_is_nms(offset, ops, figures):
    boxes, scores = figures['nms0_boxes'], figures['nms0_scores']
    _, keep = ops.soft_nms(boxes, scores, 0.5, 0.5, 1e-9, 'naive', offset=offset)
    assert torch.equal(keep, ops.nms(boxes, scores, 0.5, offset=offset)[1])


def test_gaussian_soft_nms_of_two_boxes(ops):
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]])  # they overlap by a third
    dets, keep = ops.soft_nms(boxes, torch.tensor([0.5, 0.9]), sigma=0.5, method='gaussian')
    assert keep.tolist() == [1, 0]
    expected = 0.5 * np.exp(-((1 / 3) ** 2) / 0.5)
    torch.testing.assert_close(dets[:, 4], torch.tensor([0.9, expected]).float())


def test_no_box_is_no_trouble(ops):
    none = torch.zeros(0, 4), torch.zeros(0)
    assert ops.nms(*none, 0.5)[1].tolist() == ops.soft_nms(*none)[1].tolist() == []


def test_roi_pool_of_whole_bins_is_max_pooling(ops):
    feats = torch.randn(2, 3, 8, 12, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[1.0, 0, 0, 11, 7]], dtype=torch.float64)
    out = ops.roi_pool(feats, rois, (4, 4), 1.0)
    torch.testing.assert_close(out, F.max_pool2d(feats[1:], (2, 3)))
    (grad,) = torch.autograd.grad(out.sum(), feats)
    assert int(grad.sum()) == 3 * 16 and not grad[0].any()


@pytest.mark.parametrize('groups, deform_groups', [(1, 1), (2, 1), (1, 2)])
def test_deformable_convolutions_without_offsets_are_convolutions(groups, deform_groups, ops):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 4 // groups, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True)
    how = dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=groups)
    plain = F.conv2d(x, weight, bias, **how)
    size = plain.shape[2:]
    offset = torch.zeros(2, deform_groups * 18, *size, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, deform_groups * 9, *size, dtype=torch.float64, requires_grad=True)
    how = (*(how[name] for name in ('stride', 'padding', 'dilation')), groups, deform_groups)
    one = ops.deform_conv2d(x, offset, weight, *how)
    two = ops.modulated_deform_conv2d(x, offset, mask, weight, bias, *how)
    torch.testing.assert_close(one + bias[:, None, None], plain)
    torch.testing.assert_close(two, plain)
    inputs = (x, weight, bias)
    expected = torch.autograd.grad(plain.square().sum(), inputs)
    for ours, theirs in zip(torch.autograd.grad(two.square().sum(), inputs), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradients_by_offset_and_mask(ops):
    torch.manual_seed(0)
    inputs = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((1, 2, 5, 5), (1, 18, 3, 3), (1, 9, 3, 3), (3, 2, 3, 3), (3,))
    ]
    assert torch.autograd.gradcheck(ops.modulated_deform_conv2d, inputs, fast_mode=True)
    x, offset, _, weight, _ = inputs
    assert torch.autograd.gradcheck(ops.deform_conv2d, (x, offset, weight), fast_mode=True)


def test_focal_loss_is_that_of_mmdetection(ops):
    from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

    torch.manual_seed(0)
    logits = torch.randn(6, 4, requires_grad=True)
    target = torch.tensor([0, 3, 4, 1, 4, 2])  # 4 is the background
    classes = F.one_hot(target, 5)[:, :4]
    theirs = py_sigmoid_focal_loss(logits, classes, reduction='sum')
    ours = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'sum')
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    )


def test_deformable_attention_is_mmcvs_own(ops):
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    torch.manual_seed(0)
    shapes = torch.tensor([[4, 5], [2, 3]])
    value = torch.randn(2, 26, 2, 3, requires_grad=True)
    places = torch.rand(2, 7, 2, 2, 3, 2, requires_grad=True)
    weights = torch.rand(2, 7, 2, 2, 3, requires_grad=True)
    starts = torch.tensor([0, 20])
    ours = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, places, weights, 64)
    theirs = multi_scale_deformable_attn_pytorch(value, shapes, places, weights)
    assert torch.equal(ours, theirs)
    inputs = (value, places, weights)
    grads = [torch.autograd.grad(out.square().sum(), inputs) for out in (ours, theirs)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('name', ['carafe_forward', 'nms_rotated'])
def test_what_is_missing_is_named(name):
    with pytest.raises(NotImplementedError, match=name):
        getattr(mmcv_ops, name)(torch.zeros(1))


def test_the_largest_sample_is_refused(ops):
    with pytest.raises(NotImplementedError, match='max'):
        ops.roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2, 1.0, 2, 'max')
