"""The bar during a real run."""

import torch
from mmengine.hooks import Hook
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


class Watch(Hook):
    """Notes what the bar shows after each iteration."""

    priority = 'LOWEST'

    def __init__(self, hook):
        self.hook, self.seen = hook, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append((self.hook.bar.done, self.hook.bar.note, outputs['loss'].item()))


def run(tmp_path, hook):
    watch = Watch(hook)
    Runner(
        model=Line(),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=Numbers(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(checkpoint=None, logger=None),
        custom_hooks=[hook, watch],
        default_scope='mmengine',
        experiment_name=f'bar_{hook.show}',
    ).train()
    return watch.seen


def test_bar_follows_iterations_and_loss(tmp_path, capsys):
    seen = run(tmp_path, ProgressBarHook('learning'))
    assert [done for done, _, _ in seen] == [1, 2, 3]
    for i, (_, note, loss) in enumerate(seen, start=1):
        assert note == f'iteration {i}/3 loss {loss:.3f}'
    assert 'learning 100%' in capsys.readouterr().out


def test_bar_may_be_silent(tmp_path, capsys):
    run(tmp_path, ProgressBarHook('learning', show=False))
    assert 'learning' not in capsys.readouterr().out
