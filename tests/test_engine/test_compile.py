"""``torch.compile`` through MMEngine's option."""

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, dora_cfg, views
from tests.utils_run import tiny_cfg, train


@pytest.mark.slow
def test_compiled_training_step(video, tmp_path):
    """The losses of eager execution; the backend is PyTorch's own without code generation."""

    def losses(folder, **options):
        runner = train(tiny_cfg(video, tmp_path / folder, train_cfg__max_epochs=1, **options))
        return runner.message_hub.get_scalar('train/loss').data[0]

    compiled = losses('compiled', compile=dict(backend='aot_eager'))
    assert len(compiled) == 4
    assert compiled == pytest.approx(losses('eager'), rel=1e-4)


@pytest.mark.parametrize('with_cp', [False, 'cheap'])
def test_a_model_is_compiled_in_two_pieces_once(with_cp):
    """Before and after the tracker, whose heads change; neither blocks nor draws make more."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = MODELS.build(
        dora_cfg(backbone=backbone_cfg(drop_path_rate=0.1, with_cp=with_cp))
    ).train()
    counter, heads = CompileCounter(), set()
    forward = torch.compile(model.forward, backend=counter)
    for _ in range(4):
        heads.add(model.tracker.select_heads(4))
        loss = sum(forward(views(num_locals=1), mode='loss').values())
        model.finish_step()
    assert len(heads) > 2 and loss.isfinite()
    assert counter.frame_count == 2
