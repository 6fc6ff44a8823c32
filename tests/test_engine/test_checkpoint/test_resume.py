"""Which checkpoint a run goes on from, and whether it is one of its model."""

import os

import pytest
import torch
from torch import nn

from mmvidssl.engine import check_checkpoint_fits, find_resumable
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg


def find(folder):
    return find_resumable(folder, 'iter_*.pth')


@pytest.fixture
def work_dir(tmp_path):
    """Checkpoints of which the one with the smaller number is newer."""
    for age, name in enumerate(['iter_2.pth', 'iter_10.pth', 'best_iter_3.pth']):
        (tmp_path / name).write_text('')
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    return tmp_path


def test_the_named_one(work_dir):
    (work_dir / 'last_checkpoint').write_text(f'{work_dir / "iter_2.pth"}\n')
    assert find(work_dir) == str(work_dir / 'iter_2.pth')


@pytest.mark.parametrize('note', ['elsewhere/iter_11.pth', '', None])
def test_the_newest_if_that_is_missing(work_dir, note):
    if note is not None:
        (work_dir / 'last_checkpoint').write_text(note)
    assert find(work_dir) == str(work_dir / 'iter_10.pth')


@pytest.mark.parametrize('number', [9, 10, 11])
def test_the_newest_of_both_folders(work_dir, tmp_path_factory, number):
    out_dir = tmp_path_factory.mktemp('out')
    (out_dir / f'iter_{number}.pth').write_text('')
    expected = out_dir / f'iter_{number}.pth' if number >= 10 else work_dir / 'iter_10.pth'
    assert find_resumable(work_dir, 'iter_*.pth', out_dir) == str(expected)


def test_none_if_nothing_was_written_yet(tmp_path):
    (tmp_path / 'best_iter_3.pth').write_text('')
    (tmp_path / 'iter_last.pth').write_text('')
    (tmp_path / 'iter_4.pth').mkdir()
    assert find(tmp_path) is None
    assert find(tmp_path / 'no such folder') is None


def test_refuses_to_start_anew_where_checkpoints_were(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('gone/iter_3.pth')
    with pytest.raises(FileNotFoundError, match=r'gone/iter_3\.pth'):
        find(tmp_path)


def model():
    return nn.ModuleDict(dict(backbone=nn.Linear(2, 3), head=nn.Linear(3, 1)))


def refusal(state, own):
    with pytest.raises(ValueError) as error:
        check_checkpoint_fits(state, own)
    return str(error.value)


def test_accepts_its_own_weights():
    state = model().state_dict()
    check_checkpoint_fits(state, model())
    check_checkpoint_fits({f'module.{k}': v for k, v in state.items()}, model())


def test_refuses_less_and_more_and_other_shapes():
    message = refusal({'backbone.weight': torch.zeros(3, 2), 'other.weight': WEIGHT}, model())
    assert 'head.weight: missing' in message and 'other.weight: unexpected' in message
    assert ' 4 tensors' in message
    message = refusal({**model().state_dict(), 'head.weight': torch.zeros(1, 4)}, model())
    assert 'head.weight: 1x4 in the file, 1x3 in the model' in message
    assert 'and 18 more' in refusal({f'layer{i}.weight': WEIGHT for i in range(20)}, model())


WEIGHT = torch.zeros(1)
ARCH = dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1])
MVIT = dict(type='mmvidssl.MaskFeatMViT', arch=ARCH, spatial_size=32, temporal_size=4)


@pytest.mark.parametrize(
    'saved, own, name',
    [
        (backbone_cfg(img_size=48), backbone_cfg(), 'pos_embed: 1x37x24'),
        (dict(MVIT, spatial_size=64), MVIT, 'rel_pos_h'),
    ],
)
def test_another_size_is_another_model(saved, own, name):
    """Its positions would be interpolated, which is for a start and not for going on."""
    assert name in refusal(MODELS.build(saved).state_dict(), MODELS.build(own))


def test_an_interim_checkpoint_is_the_newest(tmp_path):
    """It is removed with each regular one that is written."""
    for name in ('iter_3.pth', 'interim.pth'):
        (tmp_path / name).touch()
    assert find(tmp_path) == str(tmp_path / 'interim.pth')
