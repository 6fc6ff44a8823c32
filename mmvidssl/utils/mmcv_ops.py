"""mmcv's compiled operators, answered by torchvision's, where ``mmcv._ext`` is missing (mmcv-lite).

mmcv's Python files call the functions below by these names and arguments, and most of them write
into tensors that they are given. What is not here raises NotImplementedError.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor
from torchvision.ops import deform_conv2d, sigmoid_focal_loss

OPS = torch.ops.torchvision
NAIVE, GAUSSIAN = 0, 2  # methods of Soft-NMS; 1 is linear


def __getattr__(name: str) -> Any:
    """A function that raises, for an operator that is not here."""
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise _missing(name)

    return missing


def _missing(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"mmcv's operator {name} is compiled code, which mmcv-lite lacks and torchvision does not "
        'replace; install mmcv itself: bash tools/install.sh --compiled-ops'
    )


def get_compiler_version() -> str:
    """For MMEngine's report of the environment."""
    return f'none: torchvision {torchvision.__version__} answers for mmcv._ext'


def get_compiling_cuda_version() -> str:
    """For MMEngine's report of the environment."""
    return 'not available'


def _full(*tensors: Tensor) -> Any:
    """Cast half types to float32: torchvision does not have them on every device."""
    halves = (torch.half, torch.bfloat16)
    full = [tensor.float() if tensor.dtype in halves else tensor for tensor in tensors]
    return full if len(full) > 1 else full[0]


def _gradients(function: Callable, inputs: list[Tensor], grad_output: Tensor) -> tuple:
    """Gradients of a function by each of its inputs; it is computed once more."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        return torch.autograd.grad(function(*leaves), leaves, grad_output)


def _extended(boxes: Tensor, offset: int) -> Tensor:
    """Boxes x1, y1, x2, y2, enlarged to include their last pixel if ``offset`` is 1."""
    return boxes + boxes.new_tensor([0, 0, offset, offset])


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Non-maximum suppression: indices of the boxes that are kept, best first."""
    boxes, scores = _full(boxes, scores)
    return OPS.nms(_extended(boxes, offset), scores, iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., ICCV 2017).

    Writes boxes and decayed scores into the first rows of ``dets``; returns the boxes' indices.
    """
    corners, scores = _extended(boxes, offset), scores.clone()
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    left, kept = torch.arange(len(boxes)), []
    while len(left):
        best = left[scores[left].argmax()]
        kept.append(best)
        left = left[left != best]
        low = torch.maximum(corners[best, :2], corners[left, :2])
        high = torch.minimum(corners[best, 2:], corners[left, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        overlaps = shared / (areas[best] + areas[left] - shared)
        if method == GAUSSIAN:
            factors = torch.exp(-overlaps.square() / sigma)
        else:
            decayed = 0 * overlaps if method == NAIVE else 1 - overlaps
            factors = torch.where(overlaps >= iou_threshold, decayed, 1.0)
        scores[left] *= factors
        left = left[scores[left] >= min_score]
    inds = torch.stack(kept) if kept else left
    dets[: len(inds)] = torch.cat([boxes[inds], scores[inds, None]], dim=1)
    return inds


def roi_align_forward(input, rois, output, argmax_y, argmax_x, **options) -> None:
    """RoIAlign ``(num_rois, C, h, w)`` by average; torchvision has none by maximum."""
    if options['pool_mode'] == 0:
        raise _missing("roi_align with pool_mode='max'")
    size = options['spatial_scale'], options['aligned_height'], options['aligned_width']
    how = options['sampling_ratio'], options['aligned']
    output.copy_(OPS.roi_align(*_full(input, rois), *size, *how))


def roi_align_backward(grad_output, rois, argmax_y, argmax_x, grad_input, **options) -> None:
    """Gradient of RoIAlign by the feature maps."""
    size = options['spatial_scale'], options['aligned_height'], options['aligned_width']
    how = options['sampling_ratio'], options['aligned']
    grads = OPS._roi_align_backward(*_full(grad_output, rois), *size, *grad_input.shape, *how)
    grad_input.copy_(grads)


def roi_pool_forward(input, rois, output, argmax, **options) -> None:
    """RoIPool: largest value of each bin ``(num_rois, C, h, w)``, and where it was."""
    size = options['spatial_scale'], options['pooled_height'], options['pooled_width']
    found, where = OPS.roi_pool(*_full(input, rois), *size)
    output.copy_(found)
    argmax.copy_(where)


def roi_pool_backward(grad_output, rois, argmax, grad_input, **options) -> None:
    """Gradient of RoIPool by the feature maps."""
    size = options['spatial_scale'], options['pooled_height'], options['pooled_width']
    grad_output, rois = _full(grad_output.contiguous(), rois)
    grad_input.copy_(OPS._roi_pool_backward(grad_output, rois, argmax, *size, *grad_input.shape))


def _deform_conv(options: dict) -> Callable:
    """Deformable convolution v1 (Dai et al., ICCV 2017), or v2 with a mask (Zhu et al., 2019)."""
    if 'kernel_h' in options:
        stride, padding, dilation = (
            (options[f'{name}_h'], options[f'{name}_w']) for name in ('stride', 'pad', 'dilation')
        )
    else:
        stride, padding, dilation = (
            (options[f'{name}H'], options[f'{name}W']) for name in ('d', 'pad', 'dilation')
        )

    def convolve(input, offset, weight, bias=None, mask=None) -> Tensor:
        return deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask)

    return convolve


def deform_conv_forward(input, weight, offset, output, columns, ones, **options) -> None:
    """Deformable convolution v1."""
    output.copy_(_deform_conv(options)(*_full(input, offset, weight)))


def deform_conv_backward_input(
    input, offset, grad_output, grad_input, grad_offset, weight, columns, **options
) -> None:
    """Gradients of deformable convolution v1 by input and offset."""
    input, offset, weight, grad_output = _full(input, offset, weight, grad_output)
    grads = _gradients(_deform_conv(options), [input, offset, weight], grad_output)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])


def deform_conv_backward_parameters(
    input, offset, grad_output, grad_weight, columns, ones, scale, **options
) -> None:
    """Gradient of v1 by the weight, whose value does not matter: it is linear in it."""
    input, offset, weight, grad_output = _full(input, offset, grad_weight, grad_output)
    grads = _gradients(_deform_conv(options), [input, offset, weight], grad_output)
    grad_weight.add_(grads[2], alpha=scale)


def modulated_deform_conv_forward(
    input, weight, bias, ones, offset, mask, output, columns, with_bias, **options
) -> None:
    """Deformable convolution v2."""
    input, offset, weight, bias, mask = _full(input, offset, weight, bias, mask)
    bias = bias if with_bias else None
    output.copy_(_deform_conv(options)(input, offset, weight, bias, mask))


def modulated_deform_conv_backward(
    input,
    weight,
    bias,
    ones,
    offset,
    mask,
    columns,
    grad_input,
    grad_weight,
    grad_bias,
    grad_offset,
    grad_mask,
    grad_output,
    with_bias,
    **options,
) -> None:
    """Gradients of deformable convolution v2 by all inputs."""
    bias = bias if with_bias else weight.new_zeros(len(weight))
    *inputs, grad_output = _full(input, offset, weight, bias, mask, grad_output)
    grads = _gradients(_deform_conv(options), inputs, grad_output)
    targets = (grad_input, grad_offset, grad_weight, grad_bias, grad_mask)
    for target, source in zip(targets, grads, strict=True):
        if target is not grad_bias or with_bias:
            target.copy_(source)


def _focal_loss(target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Callable:
    """Sigmoid focal loss of each logit; targets equal to the number of classes are background."""

    def loss(logits: Tensor) -> Tensor:
        num_classes = logits.shape[1]
        classes = F.one_hot(target.clamp(min=0), num_classes + 1)[:, :num_classes].to(logits)
        losses = sigmoid_focal_loss(logits, classes, alpha, gamma)
        if len(weight):
            losses = losses * F.pad(weight, (0, 1), value=1.0)[target.clamp(min=0), None]
        return losses * (target >= 0)[:, None]

    return loss


def sigmoid_focal_loss_forward(input, target, weight, output, gamma, alpha) -> None:
    """Sigmoid focal loss ``(N, num_classes)``, not yet summed."""
    output.copy_(_focal_loss(target, weight, gamma, alpha)(_full(input)))


def sigmoid_focal_loss_backward(input, target, weight, grad_input, gamma, alpha) -> None:
    """Gradient of the sigmoid focal loss by the logits."""
    logits = _full(input)
    loss = _focal_loss(target, weight, gamma, alpha)
    grad_input.copy_(_gradients(loss, [logits], torch.ones_like(logits))[0])


def ms_deform_attn_forward(
    value, spatial_shapes, level_start_index, locations, weights, im2col_step
) -> Tensor:
    """Multi-scale deformable attention by mmcv's own function for CPUs."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, spatial_shapes, locations, weights)


def ms_deform_attn_backward(
    value,
    spatial_shapes,
    level_start_index,
    locations,
    weights,
    grad_output,
    grad_value,
    grad_locations,
    grad_weights,
    im2col_step,
) -> None:
    """Gradients of multi-scale deformable attention."""

    def attend(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return ms_deform_attn_forward(
            value, spatial_shapes, level_start_index, locations, weights, im2col_step
        )

    grads = _gradients(attend, [value, locations, weights], grad_output)
    for target, source in zip((grad_value, grad_locations, grad_weights), grads, strict=True):
        target.copy_(source)
