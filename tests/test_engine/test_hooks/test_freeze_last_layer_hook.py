"""The last layer stands still, then moves, in real runs."""

import pytest
import torch
from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS
from tests.utils_run import ITERS_PER_EPOCH, NUM_EPOCHS, tiny_cfg, train

LAST_LAYER = 'neck.last_layer.'


class Watch(Hook):
    """Copies of the student's neck, and whether the optimizer has moments of the last layer."""

    def __init__(self):
        self.rows, self.has_moments = [], []

    def before_train(self, runner):
        self.rows.append(neck_of(runner))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rows.append(neck_of(runner))
        state = runner.optim_wrapper.optimizer.state
        layer = [p for p in runner.model.neck.last_layer.parameters() if p.requires_grad]
        self.has_moments.append(any(p in state for p in layer))

    def moved(self, prefix):
        """Which iterations changed a parameter."""
        names = [name for name in self.rows[0] if name.startswith(prefix)]
        return [
            any(not torch.equal(a[name], b[name]) for name in names)
            for a, b in zip(self.rows[:-1], self.rows[1:], strict=True)
        ]


def neck_of(runner):
    named = runner.model.neck.named_parameters(prefix='neck')
    return {name: parameter.detach().clone() for name, parameter in named}


def run(video, work_dir, **options):
    watch = Watch()
    cfg = tiny_cfg(
        video,
        work_dir,
        model__neck__norm_last_layer=False,
        default_hooks__checkpoint=None,
        custom_hooks=[dict(type='FreezeLastLayerHook', **options)],
    )
    train(cfg, watch)
    return watch


@pytest.mark.parametrize(
    ('options', 'num_frozen'),
    [
        (dict(max_share=0.5), ITERS_PER_EPOCH),
        (dict(num_epochs=0), 0),
        (dict(num_epochs=3, by_epoch=False, max_share=1.0), 3),
        (dict(), 1),  # a tenth of 8
    ],
)
def test_neither_updated_nor_decayed_until_then(video, tmp_path, options, num_frozen):
    watch = run(video, tmp_path, **options)
    num_iters = ITERS_PER_EPOCH * NUM_EPOCHS
    expected = [iteration >= num_frozen for iteration in range(num_iters)]
    assert watch.moved(LAST_LAYER) == watch.has_moments == expected
    assert watch.moved('neck.mlp.') == [True] * num_iters


def test_another_layer(video, tmp_path):
    watch = run(video, tmp_path, prefix='neck.mlp', num_epochs=2, max_share=1.0)
    assert not any(watch.moved('neck.mlp.')) and all(watch.moved(LAST_LAYER))


def test_refuses_a_layer_that_is_not_there(video, tmp_path):
    with pytest.raises(ValueError, match="'neck.last'.*'neck'"):
        run(video, tmp_path, prefix='neck.last')


def test_refuses_a_negative_length():
    with pytest.raises(ValueError, match='num_epochs .*got -1'):
        HOOKS.build(dict(type='mmvidssl.FreezeLastLayerHook', num_epochs=-1))


def test_refuses_to_count_epochs_in_a_loop_without(video, tmp_path):
    cfg = tiny_cfg(video, tmp_path, param_scheduler=None)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    cfg.custom_hooks = [dict(type='FreezeLastLayerHook')]
    with pytest.raises(ValueError, match='num_epochs=1.*by_epoch=False'):
        train(cfg)
