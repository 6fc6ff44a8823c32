"""A training step of DoRA's released code, run from a checkout of it."""

import argparse
import sys
import types
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmvidssl.utils.vit_names import TO_TIMM, translate

ARCHS = {'deit-tiny': 'vit_tiny', 'deit-small': 'vit_small', 'deit-base': 'vit_base'}


def peer_step(
    args: argparse.Namespace, ours: nn.Module, clip: Tensor, local_clips: list[Tensor]
) -> Callable[[], float]:
    """Step of the code in ``args.peer``: its models, tracker, loss and update of the teacher.

    Args:
        args: Options of ``train_step.py``.
        ours: Our DoRA, whose weights it starts from.
        clip: Global view ``(B, C, T, H, W)``.
        local_clips: Local views, likewise.
    """
    sys.path.insert(0, args.peer)
    import main
    import utils
    import vision_transformer as vits

    # Its heads are drawn, ours given; it draws nothing else here.
    utils.random = types.SimpleNamespace(sample=lambda population, k: list(range(k)))
    if not dist.is_initialized():  # its loss reduces over processes
        dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)

    def build() -> nn.Module:
        vit = vits.__dict__[ARCHS[args.arch]](patch_size=16)
        model = utils.MultiCropWrapper(vit, vits.DINOHead(vit.embed_dim, args.prototypes))
        model.load_state_dict(_their_names(ours))
        return model

    student, teacher = build(), build().requires_grad_(False)
    criterion = main.DINOLoss(args.prototypes, args.locals, 1, 0.04, 0.04, 0, 1)
    optimizer = torch.optim.AdamW(utils.get_params_groups(student), lr=1e-4, weight_decay=0.01)
    views = [view.transpose(1, 2).contiguous() for view in (clip, *local_clips)]

    def step() -> float:
        target, patches, attention, query, key = teacher(views[:1], return_track=True)
        masked = utils.MOT(attention, query, key, patches, 16, views[:1])  # codespell:ignore
        objects = [student(view) for view in masked]
        loss = criterion(student(views[1:]), objects, target, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for new, old in zip(student.parameters(), teacher.parameters(), strict=True):
                old.data.mul_(0.996).add_(0.004 * new.detach().data)
        return loss.item()

    return step


def _their_names(ours: nn.Module) -> dict[str, Tensor]:
    """The student's weights under the names of the released code."""
    vit = {f'backbone.{translate(k, TO_TIMM)}': v for k, v in ours.backbone.state_dict().items()}
    parametrized = 'last_layer.parametrizations.weight.original'
    names = {f'{parametrized}0': 'last_layer.weight_g', f'{parametrized}1': 'last_layer.weight_v'}
    neck = {f'head.{names.get(k, k)}': v for k, v in ours.neck.state_dict().items()}
    return vit | neck
