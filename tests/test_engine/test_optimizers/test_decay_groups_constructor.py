import pytest
import torch
from mmengine.model import BaseModel

from mmvidssl.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from tests.utils_model import dora_cfg

OPTIM_WRAPPER = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    accumulative_counts=2,
)


def build(**changes):
    cfg = dict(type='mmvidssl.DecayGroupsConstructor', optim_wrapper_cfg=dict(OPTIM_WRAPPER))
    return OPTIM_WRAPPER_CONSTRUCTORS.build({**cfg, **changes})


def test_two_groups_of_the_student():
    model = MODELS.build(dora_cfg())
    wrapper = build()(model)
    decayed, free = wrapper.optimizer.param_groups
    assert (decayed['weight_decay'], free['weight_decay']) == (0.04, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, free = ({names[id(p)] for p in group['params']} for group in (decayed, free))
    assert 'backbone.layers.0.attn.qkv.weight' in decayed
    assert {'backbone.pos_embed', 'backbone.cls_token'} <= decayed  # as in DINO
    assert {'backbone.layers.0.attn.qkv.bias', 'backbone.ln1.weight'} <= free
    assert not {name for name in free if name.endswith('proj.weight')}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert decayed | free == trained and not decayed & free
    assert not any(name.startswith('teacher.') for name in trained)


def test_the_rest_of_the_config_reaches_the_wrapper():
    wrapper = build()(MODELS.build(dora_cfg()))
    assert isinstance(wrapper.optimizer, torch.optim.AdamW)
    assert wrapper._accumulative_counts == 2


def test_wrapped_models(monkeypatch):
    class Wrapper(BaseModel):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self):
            raise NotImplementedError

    monkeypatch.setattr(
        'mmvidssl.engine.utils.is_model_wrapper', lambda model: isinstance(model, Wrapper)
    )
    model = MODELS.build(dora_cfg())
    groups = [build()(m).optimizer.param_groups for m in (model, Wrapper(model))]
    assert [len(group['params']) for group in groups[0]] == [
        len(group['params']) for group in groups[1]
    ]


def test_refuses_rules_it_does_not_have():
    with pytest.raises(ValueError, match='DefaultOptimWrapperConstructor'):
        build(paramwise_cfg=dict(norm_decay_mult=0.0))
