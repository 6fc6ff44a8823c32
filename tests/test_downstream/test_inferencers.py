"""docs/en/howto/inference.md, followed to the letter: inferencers with our configs."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from skimage.data import astronaut

from mmvidssl.engine.checkpoint import to_plain
from mmvidssl.registry import DATASETS, MODELS
from tests.test_downstream import test_ade20k, test_coco, test_imagenet
from tests.test_downstream.utils_action import shrink_recognizer
from tests.test_downstream.utils_dense import CONFIGS, read_config
from tests.utils_video import write_video

PAGE = (Path(__file__).parents[2] / 'docs/en/howto/inference.md').read_text()
BLOCKS = re.findall('```python\n(.*?)```', PAGE.split('\n## Single files\n')[1], re.DOTALL)
OWN = {path.parent.name: path for path in CONFIGS.glob('*/*own-data*.py')}


def shrink(cfg, folder, gone='gone.pth'):
    """Narrow; what it was pretrained with is no longer there."""
    if folder == 'coco':
        return test_coco.shrink(cfg, OWN[folder].stem, 'data', gone, 'work')
    if folder == 'ade20k':
        return test_ade20k.shrink(cfg, 'data', gone, 'work')
    if folder == 'imagenet':
        return test_imagenet.shrink(cfg, gone, 'work')
    return shrink_recognizer(cfg, gone, 'work')


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Follow a block of the page with a config and random weights, as a run leaves them."""
    monkeypatch.chdir(tmp_path)
    pixels = cv2.cvtColor(astronaut()[::2, ::2], cv2.COLOR_RGB2BGR)
    for name, part in {'a.jpg': pixels, 'b.jpg': pixels[20:120, 50:200]}.items():
        cv2.imwrite(name, part)
    write_video('a.mp4', num_frames=12)

    def follow(folder, library):
        cfg = shrink(read_config(OWN[folder]), folder)
        classes = list(cfg.train_dataloader.dataset.metainfo.classes)
        Path('data/my_videos').mkdir(parents=True)
        Path('data/my_videos/classes.txt').write_text('\n'.join(classes))
        cfg.dump('CONFIG.py')
        init_default_scope(library)
        torch.manual_seed(0)
        state_dict = MODELS.build(cfg.model).state_dict()
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
        content = dict(state_dict=state_dict, meta=dict(dataset_meta=to_plain(dataset.metainfo)))
        torch.save(content, 'CHECKPOINT.pth')
        (block,) = (block for block in BLOCKS if f'from {library}' in block)
        names = {}
        exec(compile(block, 'inference.md', 'exec'), names)
        return names, classes, state_dict

    return follow


def assert_loaded(inferencer, state_dict):
    assert all(torch.equal(v, state_dict[k]) for k, v in inferencer.model.state_dict().items())


def test_mmpretrain(run, capsys):
    names, classes, weights = run('imagenet', 'mmpretrain')
    assert capsys.readouterr().out.rstrip()[-1] in classes  # after a progress bar
    assert_loaded(names['classify'], weights)
    assert {path.name for path in Path('drawn').iterdir()} == {'a.png', 'b.png'}


def test_mmdetection(run):
    names, classes, weights = run('coco', 'mmdet')
    assert_loaded(names['detect'], weights)
    assert names['detect'].visualizer.dataset_meta['classes'] == classes
    found = {path.stem: cv2.imread(str(path)) for path in Path('found/vis').iterdir()}
    sizes = {name: image.shape[:2] for name, image in found.items()}
    assert sizes == {'a': (256, 256), 'b': (100, 150)}


def test_mmsegmentation(run):
    names, classes, weights = run('ade20k', 'mmseg')
    assert_loaded(names['segment'], weights)
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in Path('found/pred').iterdir()]
    assert {mask.shape for mask in masks} == {(256, 256), (100, 150)}
    assert all(mask.dtype == np.uint8 and mask.max() < len(classes) for mask in masks)


def test_mmaction(run, capsys):
    names, classes, weights = run('kinetics', 'mmaction')
    (labels,) = re.findall(r'\[\[?(\d+)\]?\]', capsys.readouterr().out.splitlines()[-1])
    assert int(labels) < len(classes)
    assert_loaded(names['recognize'].actionrecog_inferencer, weights)
