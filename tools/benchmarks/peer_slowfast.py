"""A training step of MaskFeat's released code, PySlowFast, run from a checkout of it."""

import argparse
import contextlib
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mmvidssl.apis.converters.slowfast import rename_slowfast

CONFIG = 'configs/masked_ssl/k400_MVITv2_S_16x4_MaskFeat_PT.yaml'


def peer_step(
    args: argparse.Namespace, ours: nn.Module, clip: Tensor, mask: Tensor
) -> Callable[[], float]:
    """Step of the code in ``args.peer``: its model, HOG, loss and optimizer.

    Args:
        args: Options of ``train_step.py``.
        ours: Our MaskFeat, whose weights it starts from.
        clip: ``(B, 3, 16, 224, 224)``.
        mask: ``(B, 8, 7, 7)``, True = masked.

    Raises:
        SystemExit: names what is missing: its config, or a module that it imports.
    """
    root = Path(args.peer)
    if not (root / CONFIG).is_file():
        raise SystemExit(f'--peer {root}: no checkout of PySlowFast, {CONFIG} is missing')
    sys.path.insert(0, str(root))
    if importlib.util.find_spec('detectron2') is None:  # imported, but used for detection alone
        layers = types.ModuleType('detectron2.layers')
        layers.ROIAlign = None
        sys.modules.update({'detectron2': types.ModuleType('detectron2'), layers.__name__: layers})
    try:
        from slowfast.config.defaults import get_cfg
        from slowfast.models import build_model
        from slowfast.models.losses import get_loss_func
        from slowfast.models.optimizer import construct_optimizer
    except ImportError as error:
        raise SystemExit(
            f'PySlowFast needs more than is installed here: {error}. Its INSTALL.md lists its '
            'requirements; pytorchvideo must be that of its repository, not of PyPI.'
        ) from error

    cfg = get_cfg()
    cfg.merge_from_file(str(root / CONFIG))
    cfg.NUM_GPUS = 0
    cfg.SOLVER.WEIGHT_DECAY, cfg.SOLVER.ZERO_WD_1D_PARAM = 0.01, False  # AdamW's, as in ours
    model = build_model(cfg).train()
    weights = ours.state_dict()
    theirs = rename_slowfast(model.state_dict()).weights
    if theirs.keys() != weights.keys():
        raise ValueError(f'different weights: {sorted(theirs.keys() ^ weights.keys())}')
    for name, weight in theirs.items():
        weight.copy_(weights[name])
    for hog in model.hogs:  # as on a GPU, where its norm is in float32; a CPU's is not
        hog.forward = torch.autocast('cpu', enabled=False)(hog.forward)
    with contextlib.redirect_stdout(sys.stderr):  # it prints
        optimizer = construct_optimizer(model, cfg)
    loss_fun = get_loss_func(cfg.MODEL.LOSS_FUNC)(reduction='mean')

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=args.kind.endswith('bfloat16')):
            preds, labels = model([clip, {}, mask.float()])
            loss, _ = loss_fun(preds, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
