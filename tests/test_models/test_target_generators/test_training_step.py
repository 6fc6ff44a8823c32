"""Every target trains MaskFeat with its loss."""

import copy

import pytest
import torch

from mmvidssl.registry import MODELS
from tests.utils_model import masked_samples, maskfeat_cfg, noise
from tests.utils_teacher import CLASSIFIER, CNN, DALLE, VIT

TARGETS = {
    'hog': (dict(type='HOGGenerator', cell_size=4), 'RegressionLoss', 108),
    'gray hog': (dict(type='HOGGenerator', cell_size=4, channels='gray'), 'RegressionLoss', 36),
    'pixels': (dict(type='PixelGenerator', normalize='patch'), 'RegressionLoss', 192),
    'ViT': (dict(type='DeepFeatureGenerator', teacher=VIT), 'NormalizedRegressionLoss', 24),
    'CNN': (dict(type='DeepFeatureGenerator', teacher=CNN), 'NormalizedRegressionLoss', 16),
    'ema': (
        dict(
            type='DeepFeatureGenerator',
            teacher=maskfeat_cfg()['backbone'],
            ema=True,
            takes_clips=True,
        ),
        'NormalizedRegressionLoss',
        16,
    ),
    'codes': (
        dict(type='DiscreteTokenGenerator', tokenizer=DALLE, num_codes=32),
        'CodeCrossEntropyLoss',
        32,
    ),
    'labels': (
        dict(type='PseudoLabelGenerator', classifier=CLASSIFIER),
        'SoftCrossEntropyLoss',
        7,
    ),
}


def build(target_generator: dict, loss: str, width: int):
    torch.manual_seed(0)
    kind = f'mmvidssl.{target_generator["type"]}'
    cfg = maskfeat_cfg(
        target_generator={**copy.deepcopy(target_generator), 'type': kind, 'patch_size': 8},
        head=dict(type='mmvidssl.MaskFeatHead', loss=dict(type=f'mmvidssl.{loss}')),
    )
    cfg['neck']['out_channels'] = width
    model = MODELS.build(cfg)
    model.init_weights()
    return model.train()


@pytest.mark.parametrize('target', TARGETS.values(), ids=TARGETS)
def test_trains(target):
    """The loss of one batch falls, every parameter of the student moves, and no other."""
    model = build(*target)
    inputs = dict(clip=noise(2, 3, 4, 32, 32))
    samples = masked_samples(*(noise(2, 2, 4, 4, seed=1) > 0))
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(4):
        loss = model.loss(inputs, samples)['loss']
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    for name, value in model.state_dict().items():
        is_teacher = name.startswith('target_generator.')
        assert torch.equal(value, before[name]) == is_teacher, name
