"""A backbone alone."""

import pytest
import torch
from mmengine.logging import MMLogger

from mmvidssl.apis import (
    init_backbone,
)
from tests.utils_export import write
from tests.utils_model import backbone_cfg, dora_cfg


def test_backbone_alone_is_loaded_whole_or_refused(tmp_path):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    for role in ('teacher', 'student'):
        backbone = init_backbone(backbone_cfg(), tmp_path / 'run.pth', role)
        wanted = model.teacher.backbone if role == 'teacher' else model.backbone
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, wanted.state_dict()[name])
    assert not backbone.training
    deeper = backbone_cfg()
    deeper['arch'] = dict(deeper['arch'], num_layers=3)
    with pytest.raises(ValueError, match='(?s)run.pth does not cover the DINOViT: .*layers.2.ln1'):
        init_backbone(deeper, tmp_path / 'run.pth')
    with pytest.raises(ValueError, match='(?s)run.pth does not cover .*patch_embed'):
        init_backbone(backbone_cfg(patch_size=16), tmp_path / 'run.pth')
    shallow = backbone_cfg()
    shallow['arch'] = dict(shallow['arch'], num_layers=1)
    with pytest.raises(ValueError, match='run.pth is of a deeper model: layers.1 would be left'):
        init_backbone(shallow, tmp_path / 'run.pth')


def test_a_norm_that_options_leave_out_is_left_over(tmp_path, monkeypatch):
    model = write(dora_cfg(), tmp_path / 'run.pth')
    lines = []
    monkeypatch.setattr(MMLogger, 'info', lambda self, line, *args: lines.append(line))
    backbone = init_backbone(
        backbone_cfg(final_norm=False, out_indices=[0, 1], out_type='featmap'), tmp_path / 'run.pth'
    )
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, model.teacher.backbone.state_dict()[name])
    assert 'left over: ln1.weight, ln1.bias' in lines[-1]
