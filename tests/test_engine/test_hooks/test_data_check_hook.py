import pytest
import torch
from mmengine.dataset import RepeatDataset
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import BaseLoop
from torch import nn

from mmvidssl.engine.hooks import DataCheckHook


class SomeHead(nn.Module):
    num_classes = 3


def videos(folder, labels):
    """A data set of mmaction2 with these labels; its files are empty, they are not opened."""
    for index in range(len(labels)):
        (folder / f'{index}.mp4').touch()
    lines = [f'{index}.mp4 {label}' for index, label in enumerate(labels)]
    (folder / 'list.txt').write_text('\n'.join(lines))
    init_default_scope('mmaction')
    options = dict(ann_file=str(folder / 'list.txt'), data_prefix=dict(video=str(folder)))
    return DATASETS.build(dict(type='mmaction.VideoDataset', pipeline=[], **options))


class Runner:
    """What the hook asks of a runner."""

    def __init__(self, model, **loops):
        self.model = model
        self.logger = MMLogger.get_instance('data check')
        self._train_loop = self._val_loop = self._test_loop = None
        for name, dataset in loops.items():
            setattr(self, f'_{name}_loop', Loop(dataset))


class Loop(BaseLoop):
    def __init__(self, dataset):
        self.dataloader = torch.utils.data.DataLoader(dataset)

    def run(self):
        pass


def test_looks_at_the_loops_that_run(tmp_path):
    dataset = videos(tmp_path, [0, 1, 2])
    model = nn.ModuleDict(dict(head=SomeHead()))
    DataCheckHook().before_run(Runner(model, train=dataset, val=dataset))
    wrong = RepeatDataset(videos(tmp_path, [0, 1, 7]), times=2)
    with pytest.raises(ValueError, match='val_dataloader.dataset .*0 to 7'):
        DataCheckHook().before_run(Runner(model, train=dataset, val=wrong))


def test_number_is_positive():
    with pytest.raises(ValueError, match='must be positive'):
        DataCheckHook(num_opened=0)
    with pytest.raises(TypeError, match='set num_opened'):
        DataCheckHook(num_masks=3)
