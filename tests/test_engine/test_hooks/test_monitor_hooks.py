"""Evaluations during training: what they measure, and that the run is as without them."""

import json
import random

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from PIL import Image
from torch import nn

from mmvidssl.apis import extract_features, init_model
from mmvidssl.datasets.readers import read_image
from mmvidssl.engine import KNNMonitorHook
from mmvidssl.engine.hooks.monitor_hooks import untouched
from mmvidssl.registry import METRICS
from tests.utils_model import maskfeat_cfg
from tests.utils_run import tiny_cfg, train

COUNTS = dict(train=11, val=4)  # of each class
NAMES = ('train/knn/top1_k20', 'train/linear/top1')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Of 256 pixels, which the protocol does not resize, and cuts to 224."""
    root, rng = tmp_path_factory.mktemp('images'), np.random.default_rng(0)
    for split, count in COUNTS.items():
        for shift, name in enumerate(('one', 'two')):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                small = rng.integers(0, 200, (8, 8, 3), np.uint8) + 20 * shift
                picture = cv2.resize(small.astype(np.uint8), (256, 256))
                cv2.imwrite(str(root / split / name / f'{index}.png'), picture)
    return root


@pytest.fixture(scope='module')
def random_protocol(tmp_path_factory):
    """k-NN on images that are turned at random, by numpy's own generator and by torch's."""
    path = tmp_path_factory.mktemp('configs') / 'random.py'
    path.write_text(
        """_base_ = 'mmvidssl::downstream/imagenet/knn_vit-small-p16_dora-wt-pre_in1k.py'
def turned(split, pipeline):
    load, *others = pipeline
    turns = ['RandomFlip', 'mmpretrain.NumpyToPIL', 'mmpretrain.torchvision/RandomVerticalFlip']
    turns = [dict(type=name) for name in (*turns, 'mmpretrain.PILToNumpy')]
    turns[0]['prob'] = 0.5
    pipeline = [load, *turns, *others]
    return dict(**_base_.dataset, data_prefix=split, pipeline=pipeline)
datasets = [turned('train', _base_.train_pipeline), turned('val', _base_.test_pipeline)]
test_dataloader = dict(dataset=dict(datasets=datasets))
"""
    )
    return str(path)


class Draws(Hook):
    """States of the generators after each iteration, and which parts are in training mode."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, *args, **kwargs):
        _, key, position, *_ = np.random.get_state()  # noqa: NPY002
        states = torch.get_rng_state().tolist(), random.getstate(), key.tolist(), position
        self.seen.append((states, [part.training for part in runner.model.modules()]))


def cfg_of(video, work_dir, *hooks, **options):
    """Eight iterations of a student that drops paths."""
    sizes = dict(model__backbone__patch_size=16)
    cfg = tiny_cfg(video, work_dir, model__backbone__drop_path_rate=0.3, **sizes, **options)
    cfg.default_hooks.checkpoint.update(interval=3, by_epoch=False, max_keep_ckpts=-1)
    cfg.custom_hooks += hooks
    return cfg


def load(path):
    return torch.load(path, weights_only=True)


def assert_same_weights(first, second):
    for name, value in first['state_dict'].items():
        assert torch.equal(value, second['state_dict'][name]), name


def history(checkpoint, name):
    return checkpoint['message_hub']['log_scalars'][name]['history_buffer']['values'].tolist()


def test_a_run_is_the_same_to_the_bit(video, images, random_protocol, tmp_path):
    """Though nothing seeds its iterations, and the protocol draws."""
    hooks = [
        dict(type='KNNMonitorHook', interval=2, data_root=str(images), config=random_protocol),
        dict(type='LinearProbeHook', interval=3, data_root=str(images), num_workers=1),
    ]
    draws = []
    for folder, given in (('without', ()), ('with', hooks)):
        cfg = cfg_of(video, tmp_path / folder, *given)
        cfg.default_hooks.pop('step_seed')
        draws.append(Draws())
        train(cfg, draws[-1])
    assert len(draws[0].seen) == 8 and draws[0].seen == draws[1].seen
    without, watched = (load(tmp_path / folder / 'iter_6.pth') for folder in ('without', 'with'))
    assert_same_weights(without, watched)
    assert [len(history(watched, name)) for name in NAMES] == [3, 2]


def test_modes_of_a_backbone_without_teacher_are_put_back():
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2).eval())
    with pytest.raises(KeyError), untouched(module):
        module.eval()
        raise KeyError
    assert [part.training for part in module.modules()] == [True, True, False]


@METRICS.register_module()
class FeatureSum(BaseMetric):
    """A number that any other weight or pixel changes."""

    default_prefix = 'test'

    def process(self, data_batch, data_samples):
        self.results += [sample['features'].double().abs().sum().item() for sample in data_samples]

    def compute_metrics(self, results):
        return dict(sum=sum(results))


def test_a_resumed_run_goes_on_as_it_would_have(video, images, tmp_path):
    """What it measures is the teacher that the checkpoint of the same iteration holds."""
    (tmp_path / 'sum.py').write_text(
        "_base_ = 'mmvidssl::downstream/imagenet/knn_vit-small-p16_dora-wt-pre_in1k.py'\n"
        "test_evaluator = [dict(type='FeatureSum')]"
    )
    hook = dict(type='MonitorHook', interval=2, data_root=str(images))
    hook['config'] = str(tmp_path / 'sum.py')

    def cfg(folder, **options):
        cfg = cfg_of(video, tmp_path / folder, hook, **options)
        cfg.custom_hooks[0].momentum = 0.5
        return cfg

    train(cfg('whole'))
    train(cfg('parts', resume=True, load_from=str(tmp_path / 'whole/iter_3.pth')))
    whole, parts = (load(tmp_path / folder / 'iter_6.pth') for folder in ('whole', 'parts'))
    assert_same_weights(whole, parts)
    sums = history(whole, 'train/test/sum')
    assert sums == history(parts, 'train/test/sum') and len(sums) == 3
    model = init_model(cfg(''), tmp_path / 'whole/iter_6.pth')
    files = sorted(images.rglob('*.png'))
    frames = np.stack([read_image(file)[16:240, 16:240] for file in files])
    expected = extract_features(model, frames).double().abs().sum().item()
    assert sums[-1] == pytest.approx(expected, rel=1e-6)
    (scalars,) = (tmp_path / 'whole').rglob('vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert [row['test/sum'] for row in rows if row['step'] == 6] == sums[-1:]
    assert all('loss' in row for row in rows)


def test_objects_are_followed(video, tmp_path):
    """By no mask that it writes; a sequence of still frames keeps the mask of its first."""
    frame, mask = np.zeros((2, 96, 96), np.uint8)
    frame[24:72, 24:72], mask[32:64, 32:64] = 255, 1
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 128, 0, 0])
    for kind in ('JPEGImages/480p/still', 'Annotations/480p/still', 'ImageSets/2017'):
        (tmp_path / kind).mkdir(parents=True)
    (tmp_path / 'ImageSets/2017/val.txt').write_text('still\n')
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'JPEGImages/480p/still/{number:05}.jpg'), frame)
        image.save(tmp_path / f'Annotations/480p/still/{number:05}.png')
    hook = dict(type='VOSMonitorHook', interval=8, data_root=str(tmp_path))
    runner = train(cfg_of(video, tmp_path / 'run', hook))
    score = runner.message_hub.get_scalar('train/davis/J&F').current()
    assert 0.9 < score <= 1
    assert not list((tmp_path / 'run').rglob('masks'))


def test_what_a_backbone_does_not_take_is_refused_before_training(video, images, tmp_path):
    cfg = cfg_of(video, tmp_path, dict(type='KNNMonitorHook', interval=2, data_root=str(images)))
    cfg.model = dict(maskfeat_cfg(), _scope_='mmvidssl')
    cfg.custom_hooks = cfg.custom_hooks[-1:]
    with pytest.raises(ValueError, match='MaskFeatMViT'):
        train(cfg)
    with pytest.raises(ValueError, match='0'):
        KNNMonitorHook(interval=0)
