import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmvidssl.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from tests.utils_model import backbone_cfg

LR, RATE, DECAY = 1e-3, 0.5, 0.05


class Classifier(BaseModel):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(24, 3)

    def forward(self):
        raise NotImplementedError


def build(paramwise_cfg):
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='mmvidssl.LayerDecayConstructor',
            optim_wrapper_cfg=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=LR, weight_decay=DECAY)
            ),
            paramwise_cfg=paramwise_cfg,
        )
    )


def settings(model):
    """Learning rate and weight decay of each parameter by name."""
    optimizer = build(dict(layer_decay_rate=RATE))(model).optimizer
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }


def expected_depth(name, num_blocks):
    """In words of the docstring."""
    part = name.removeprefix('backbone.').split('.')
    if not name.startswith('backbone.'):
        return num_blocks + 1
    if part[0] in ('cls_token', 'mask_token', 'pos_embed', 'patch_embed'):
        return 0
    if part[0] in ('layers', 'blocks'):
        return int(part[1]) + 1
    return num_blocks + 1


MVIT = dict(
    type='mmvidssl.MViT',
    arch=dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1]),
    spatial_size=32,
    temporal_size=4,
)
BACKBONES = [(backbone_cfg(), 2), (MVIT, 3), ({**MVIT, 'type': 'mmvidssl.MaskFeatMViT'}, 3)]


@pytest.mark.parametrize('cfg, num_blocks', BACKBONES, ids=['vit', 'mvit', 'maskfeat'])
def test_every_parameter_has_the_rate_of_its_depth(cfg, num_blocks):
    model = Classifier(MODELS.build(cfg))
    found = settings(model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        lr, decay = found[name]
        power = num_blocks + 1 - expected_depth(name, num_blocks)
        assert lr == pytest.approx(LR * RATE**power), name
        assert decay == (DECAY if parameter.ndim > 1 else 0.0), name
    assert {lr for lr, _ in found.values()} == {LR * RATE**p for p in range(num_blocks + 2)}


def test_frozen_parameters_are_left_out():
    model = Classifier(MODELS.build(backbone_cfg()))
    model.backbone.layers[0].requires_grad_(False)
    assert not any(name.startswith('backbone.layers.0.') for name in settings(model))


def test_one_is_no_decay():
    model = Classifier(MODELS.build(backbone_cfg()))
    optimizer = build(dict(layer_decay_rate=1.0))(model).optimizer
    assert {group['lr'] for group in optimizer.param_groups} == {LR}
    assert isinstance(optimizer, torch.optim.AdamW)


@pytest.mark.parametrize(
    'paramwise_cfg', [None, {}, dict(layer_decay_rate=0.0), dict(layer_decay_rate=1.5), dict(x=1)]
)
def test_refuses(paramwise_cfg):
    with pytest.raises(ValueError, match='layer_decay_rate=RATE'):
        build(paramwise_cfg)


def test_a_backbone_without_depths_is_refused():
    with pytest.raises(TypeError, match=r'get_layer_depth.* is a Linear'):
        settings(Classifier(nn.Linear(2, 2)))
