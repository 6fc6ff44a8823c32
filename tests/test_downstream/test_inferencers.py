"""docs/en/howto/inference.md, followed to the letter: inferencers with our configs."""

import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from skimage.data import astronaut

from mmvidssl.apis import describe_video
from mmvidssl.datasets.readers import PyAVReader
from mmvidssl.engine.checkpoint import to_plain
from mmvidssl.engine.utils import digest_of
from mmvidssl.registry import DATASETS, MODELS
from tests.test_downstream import test_ade20k, test_coco, test_imagenet
from tests.test_downstream.utils_action import shrink_recognizer
from tests.test_downstream.utils_dense import CONFIGS, read_config
from tests.utils_tool import load_tool
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
    assert_counts_objects(names['detect'], classes)


def assert_counts_objects(inferencer, classes):
    """The tool that describes videos finds in a frame what the inferencer does."""
    build_detector = load_tool('analysis/video_statistics').build_detector
    whole = inferencer(cv2.imread('a.jpg'))['predictions'][0]
    score = float(np.median(whole['scores']))
    words, detect = build_detector('CONFIG.py', 'CHECKPOINT.pth', score, 'cpu')
    assert digest_of(inferencer.model)[:8] in words and str(score) in words
    found = detect(cv2.imread('a.jpg')[..., ::-1])
    pairs = zip(whole['labels'], whole['scores'], strict=True)
    assert 0 < len(found) < len(whole['scores'])
    assert found == [classes[label] for label, at in pairs if at >= score]
    described = describe_video('a.mp4', detect=detect)
    frames = PyAVReader('a.mp4').get_frames(times=described['objects']['time'])
    seen = [Counter(detect(frame)) for frame in frames]
    assert described['objects']['counts'] == seen and len(seen) > 1
    assert described['summary']['objects'] == np.mean([each.total() for each in seen])
    assert described['summary']['classes'] == np.mean([len(each) for each in seen])
    edited = Config.fromfile('CONFIG.py')
    assert build_detector('CONFIG.py', 'CHECKPOINT.pth', score, 'cpu')[0] == words
    edited.test_dataloader.dataset.pipeline[1].scale = (640, 400)  # other counts
    edited.dump('CONFIG.py')
    assert build_detector('CONFIG.py', 'CHECKPOINT.pth', score, 'cpu')[0] != words
    torch.save(dict(state_dict={}), 'other.pth')
    with pytest.raises(ValueError, match='other.pth'):
        build_detector('CONFIG.py', 'other.pth', score, 'cpu')
    Path('other.py').write_text('model = dict(type="ViT")')
    with pytest.raises(ValueError, match='other.py'):
        build_detector('other.py', 'CHECKPOINT.pth', score, 'cpu')


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
