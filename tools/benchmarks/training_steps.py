"""The training steps that train_step.py compares. Each function builds one and returns it.

A step is called without arguments and gives its loss.
"""

import argparse
from collections.abc import Callable

import peer_dora
import peer_slowfast
import torch
from torch import Tensor, nn

from mmvidssl.registry import MODELS
from mmvidssl.structures import VidSSLDataSample
from tests.references import naive_dora
from tests.references.peer_maskfeat import PeerMaskFeat

Step = Callable[[], float]


def dora_step(args: argparse.Namespace) -> Step:
    """Student, teacher and tracker on one global and several local views."""
    model = MODELS.build(dora_cfg(args)).train()
    shape = (args.batch, 3, args.frames)
    clip = torch.randn(*shape, 224, 224)
    local_clips = [torch.randn(*shape, 112, 112) for _ in range(args.locals)]
    if args.kind == 'released':
        return peer_dora.peer_step(args, model, clip, local_clips)

    def loss() -> Tensor:
        if args.kind == 'naive':
            return naive_dora.loss(model, clip, local_clips)
        return sum(model.loss(dict(global_clip=clip, local_clips=local_clips)).values())

    update = optimizer_step(model, loss)

    def step() -> float:
        value = update()
        if args.kind.startswith('ours'):  # the naive step moves center and heads itself
            model.finish_step()
        model.update_teacher(0.004)
        return value

    return step


def maskfeat_step(args: argparse.Namespace) -> Step:
    """MViTv2-S on clips of 16 x 224 x 224, 157 of 392 cubes masked, HOG targets."""
    is_ours = not args.kind.startswith('composed')
    model = (MODELS.build(maskfeat_cfg(args.kind)) if is_ours else PeerMaskFeat()).train()
    for _, parameter in sorted(model.named_parameters()):
        if parameter.ndim > 1:
            nn.init.trunc_normal_(parameter, std=0.02)
    clip = torch.randn(args.batch, 3, 16, 224, 224)
    mask = torch.rand(args.batch, 392).argsort(dim=1).lt(157).unflatten(1, (8, 7, 7))
    if args.kind.startswith('released'):
        return peer_slowfast.peer_step(args, model, clip, mask)
    samples = []
    for one in mask:
        samples.append(VidSSLDataSample())
        samples[-1].mask = one

    def loss() -> Tensor:
        with torch.autocast('cpu', torch.bfloat16, enabled='bfloat16' in args.kind):
            return (
                model.loss(dict(clip=clip), samples)['loss'] if is_ours else model.loss(clip, mask)
            )

    return optimizer_step(model, loss)


def optimizer_step(model: nn.Module, loss: Callable[[], Tensor]) -> Step:
    """Forward, backward and AdamW, in MMEngine's order."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)  # as the configs say

    def step() -> float:
        value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return step


def with_cp(kind: str) -> bool | str:
    """Option of the backbone for a kind of step: ``'ours'``, ``'ours, cheap'`` and so on."""
    return {'cheap': 'cheap', 'with_cp': True}.get(kind.partition(', ')[2], False)


def dora_cfg(args: argparse.Namespace) -> dict:
    dims = {'deit-tiny': 192, 'deit-small': 384, 'deit-base': 768}[args.arch]
    return dict(
        type='mmvidssl.DoRA',
        preset='official' if args.peer else 'paper',
        backbone=dict(
            type='mmvidssl.DINOViT',
            arch=args.arch,
            with_cp=with_cp(args.kind),
            img_size=224,
            patch_size=16,
        ),
        neck=dict(type='mmvidssl.DINONeck', in_channels=dims, num_prototypes=args.prototypes),
        tracker=dict(type='mmvidssl.MultiObjectTracker', num_objects=3, heads=(0, 1, 2)),
        target_generator=dict(
            type='mmvidssl.DistillationTargetGenerator', num_prototypes=args.prototypes
        ),
        head=dict(type='mmvidssl.DoRAHead', loss=dict(type='mmvidssl.DINOLoss')),
    )


def maskfeat_cfg(kind: str) -> dict:
    return dict(
        type='mmvidssl.MaskFeat',
        backbone=dict(type='mmvidssl.MaskFeatMViT', arch='small', with_cp=with_cp(kind)),
        neck=dict(type='mmpretrain.LinearNeck', in_channels=768, out_channels=108, norm_cfg=None),
        target_generator=dict(type='mmvidssl.HOGGenerator'),
        head=dict(type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.RegressionLoss')),
    )


STEPS = dict(dora=dora_step, maskfeat=maskfeat_step)
