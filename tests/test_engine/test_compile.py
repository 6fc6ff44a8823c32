"""``torch.compile`` through MMEngine's option."""

import pytest

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
