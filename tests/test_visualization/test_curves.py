"""Reading scalars and drawing them."""

import json

import cv2
import numpy as np
import pytest

from mmvidssl.visualization import plot_curves, read_scalars


def test_scalars_are_read_by_step(tmp_path):
    path = tmp_path / 'scalars.json'
    records = [dict(loss=2.0, lr=0.1, step=1), dict(loss=1.5, step=2), dict(note='x', loss=9)]
    path.write_text(''.join(f'{json.dumps(record)}\n' for record in records) + '{"loss": 1.')
    assert read_scalars(path) == {'loss': ([1, 2], [2.0, 1.5]), 'lr': ([1], [0.1])}


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
