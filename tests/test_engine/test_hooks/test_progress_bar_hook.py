"""The bar during a real run."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmvidssl.engine.hooks import ProgressBarHook


class Numbers(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.full((2,), float(index)))


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.linear(torch.stack(inputs)).square().mean())


@pytest.mark.parametrize('terminal_only', [False, True])
def test_bar_follows_iterations_and_loss(tmp_path, capsys, terminal_only):
    """Nothing is shown in a file if it is for terminals only."""
    hook = ProgressBarHook(terminal_only=terminal_only)
    Runner(
        model=Line(),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=Numbers(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(checkpoint=None, logger=None),
        custom_hooks=[hook],
        default_scope='mmengine',
        experiment_name=f'bar{terminal_only}',
    ).train()
    shown = capsys.readouterr().err
    if terminal_only:
        assert 'training' not in shown
        return
    assert (hook.bar.n, hook.bar.total) == (3, 3)
    assert 'training: 100%' in shown and '3/3' in shown and 'loss ' in shown
