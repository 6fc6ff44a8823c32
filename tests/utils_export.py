"""Models with weights of their own, and their checkpoints with the config in them."""

from pathlib import Path

import torch
from mmengine.config import Config

from mmvidssl.apis import init_model
from tests.utils_model import backbone_cfg, maskfeat_cfg


def maskfeat_vit_cfg() -> dict:
    cfg = maskfeat_cfg(backbone=backbone_cfg(type='mmvidssl.MaskFeatViT'))
    cfg['neck']['in_channels'] = 24
    return cfg


def build(model_cfg: dict):
    model = init_model(Config(dict(default_scope='mmvidssl', model=model_cfg)))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng))
    return model


def write(model_cfg: dict, path: Path):
    """A model, and its checkpoint with the config in it."""
    model = build(model_cfg)
    cfg = Config(dict(default_scope='mmvidssl', model=model_cfg))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), path)
    return model
