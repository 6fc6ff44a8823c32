"""Reading scalars and drawing them."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmvidssl.engine.hooks import PlainCheckpointHook
from mmvidssl.visualization import plot_curves, read_run, read_scalars
from mmvidssl.visualization.curves import KL


def test_scalars_are_read_by_step(tmp_path):
    path = tmp_path / 'scalars.json'
    records = [
        dict(loss=2.0, lr=0.1, iter=1, step=1),
        dict(loss=1.5, iter=2, step=2),
        dict(note='x', loss=9),
    ]
    path.write_text(''.join(f'{json.dumps(record)}\n' for record in records) + '{"loss": 1.')
    scalars = read_scalars(path)
    assert scalars.pop('iter') == ([1, 2], [1, 2])
    assert scalars == {'loss': ([1, 2], [2.0, 1.5]), 'lr': ([1], [0.1])}


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.json'):
        read_scalars(tmp_path / 'none.json')
    (tmp_path / 'bad.json').write_text('{"step": 1}\n{"step"\n')
    with pytest.raises(ValueError, match='bad.json, line 2'):
        read_scalars(tmp_path / 'bad.json')


def test_curves_are_drawn_and_change_the_picture(tmp_path):
    for name, y in (('up', [0, 1, 2]), ('down', [2, 1, 0])):
        plot_curves(tmp_path / f'{name}.png', {'loss': ([0, 1, 2], y)}, title='a run')
    up, down = (cv2.imread(str(tmp_path / f'{n}.png')) for n in ('up', 'down'))
    assert up.shape[0] > 200 and up.shape[1] > 200
    assert (up != down).any() and np.ptp(up) > 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ['down.png', 'up.png']


@pytest.mark.parametrize('curves', [{}, {'loss': ([], [])}])
def test_nothing_to_draw_is_refused(tmp_path, curves):
    with pytest.raises(ValueError, match='nothing to draw'):
        plot_curves(tmp_path / 'a.png', curves)


class Line(BaseModel):
    """A model of one number."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.weight**2) if mode == 'loss' else [self.weight.detach()]


class Weight(BaseMetric):
    """That number."""

    def process(self, data_batch, data_samples):
        self.results.append(data_samples[0].item())

    def compute_metrics(self, results):
        return dict(weight=results[-1], loss=9.0)


def test_validation_of_a_real_run_that_was_resumed(tmp_path):
    data = dict(dataset=[dict(inputs=torch.zeros(1))] * 5, batch_size=1, num_workers=0)
    sampler = dict(type='DefaultSampler', shuffle=False)
    for number, options in enumerate(({}, dict(load_from=f'{tmp_path}/epoch_1.pth', resume=True))):
        Runner(
            model=Line(),
            work_dir=str(tmp_path),
            experiment_name=f'{tmp_path.name}{number}',
            cfg=dict(model=dict(type='Line')),
            train_dataloader=dict(data, sampler=sampler),
            val_dataloader=dict(data, sampler=sampler),
            train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
            val_cfg={},
            val_evaluator=Evaluator([Weight()]),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=2, ignore_last=False),
                timestamp=dict(type='IterTimerHook'),
                checkpoint=PlainCheckpointHook(interval=1),
            ),
            log_level='ERROR',
            **options,
        ).train()
        for folder in tmp_path.glob('2*'):
            folder.rename(tmp_path / f'start{number}{folder.name}')  # both may be of one second
    curves, trained = read_run(tmp_path), [2, 4, 5, 7, 9, 10, 12, 14, 15]
    for name in ('loss', 'time', 'data_time'):
        assert curves[name][0] == trained
    assert curves['val/weight'][0] == [5, 10, 15] and curves['val/loss'][1] == [9.0] * 3
    np.testing.assert_allclose(curves['val/weight'][1], 0.8 ** np.array([5, 10, 15]), rtol=1e-5)
    assert not {'val/time', 'val/data_time'} & set(curves)


@pytest.mark.parametrize(
    ('changes', 'is_there'),
    [
        ({}, True),
        ({'log_processor.custom_cfg.0.window_size': 10}, False),
        ({'log_processor.custom_cfg.0.method_name': 'max'}, False),
        ({'log_processor': dict(_delete_=True, window_size=50)}, False),
        ({'custom_hooks.0.interval': 1, 'log_processor.window_size': 5}, True),
        ({'optim_wrapper.accumulative_counts': 25}, False),
        ({'model.head.carry_over': True}, False),
        ({'model.preset': 'official'}, False),
        ({'model.head.local_weight': 1.0}, False),
        ({'model.head': dict(_delete_=True, type='DINOHead')}, True),
    ],
)
def test_divergence_is_worked_out_only_where_loss_minus_entropy_is_one(tmp_path, changes, is_there):
    window = dict(data_src='teacher_entropy', method_name='mean', window_size=5)
    cfg = Config(
        dict(
            model=dict(type='DoRA', neck=dict(num_prototypes=16), head=dict(type='DoRAHead')),
            custom_hooks=[dict(type='mmvidssl.HealthHook', interval=10)],
            log_processor=dict(window_size=50, custom_cfg=[window]),
            optim_wrapper={},
        )
    )
    cfg.merge_from_dict(changes)
    folder = tmp_path / '1' / 'vis_data'
    folder.mkdir(parents=True)
    cfg.dump(str(folder / 'config.py'))
    lines = (
        dict(loss=3.0, loss_object=1.5, loss_local=1.5, teacher_entropy=2.5, iter=i, step=i)
        for i in (50, 100)
    )
    (folder / 'scalars.json').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    assert read_run(tmp_path).get(KL) == (([50, 100], [0.5, 0.5]) if is_there else None)
