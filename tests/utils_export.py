"""Models with weights of their own, and their checkpoints with the config in them."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import init_model
from tests.utils_model import backbone_cfg, maskfeat_cfg

needs_transformers = pytest.mark.skipif(
    'MMVIDSSL_TRANSFORMERS' not in os.environ,
    reason='mmpretrain does not import where transformers is installed; to compare with it, name a '
    'folder made by `pip install --target FOLDER -r requirements/transformers.txt` in '
    'MMVIDSSL_TRANSFORMERS, as .ci/run does',
)


def maskfeat_vit_cfg() -> dict:
    cfg = maskfeat_cfg(backbone=backbone_cfg(type='mmvidssl.MaskFeatViT'))
    cfg['neck']['in_channels'] = 24
    return cfg


def classifier_cfg() -> dict:
    """The config of an image classifier, a downstream model with one backbone."""
    model = dict(
        type='ImageClassifier',
        backbone=backbone_cfg(),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=24),
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    )
    return dict(default_scope='mmpretrain', model=model)


def build(model_cfg: dict, scope: str = 'mmvidssl'):
    """A model whose weights are all different from any default."""
    model = init_model(Config(dict(default_scope=scope, model=model_cfg)))
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
