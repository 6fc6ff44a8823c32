"""docs/en/tutorials/downstream_dense.md, followed to the letter with data of one's own."""

import argparse
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope

from mmvidssl.apis import init_model, publish_model
from mmvidssl.data_checks import check_config
from mmvidssl.utils.run_config import add_run_arguments, load_run_config
from tests.test_downstream import test_ade20k, test_coco, utils, utils_dense
from tests.test_downstream.utils_dense import metrics_of, write_coco, write_masks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/en/tutorials/downstream_dense.md').read_text()


class Instructions:
    """What a section of the page says: where files go, the classes, and the command."""

    def __init__(self, title):
        section = PAGE.split(f'\n## {title}\n')[1].split('\n## ')[0]
        paths, classes = re.findall('```text\n(.*?)```', section, re.DOTALL)
        *self.paths, self.class_file = paths.split()
        self.classes = classes.splitlines()
        command = re.search('```bash\n(.*?)```', section, re.DOTALL)[1].replace('\\\n', ' ')
        words = shlex.split(command)
        start = words.index('python')
        self.environment = dict(word.split('=', 1) for word in words[:start])
        assert words[start + 1] == 'tools/train.py'
        self.arguments = words[start + 2 :]
        options = re.search('`--cfg-options ([^`]*)`', section)
        self.options = options[1].split() if options else []

    def config(self, monkeypatch, folder, options=()):
        """As ``tools/train.py`` reads it, in that environment and folder."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        Path(self.class_file).parent.mkdir(parents=True, exist_ok=True)
        Path(self.class_file).write_text('\n'.join(self.classes))
        parser = argparse.ArgumentParser()
        parser.add_argument('config', type=lambda name: ROOT / name)
        add_run_arguments(parser)
        return load_run_config(parser.parse_args([*self.arguments, *options]))


@pytest.mark.slow
def test_own_objects(pretrained, monkeypatch, tmp_path):
    page = Instructions("Your own objects, in COCO's format")
    train_json, val_json, train, val = (tmp_path / path for path in page.paths)
    images, annotations = dict(train=train, val=val), dict(train=train_json, val=val_json)
    write_coco(tmp_path, annotations, images, page.classes)
    checkpoint = shutil.copy(pretrained.dora, tmp_path / page.environment['PRETRAINED'])
    cfg = page.config(monkeypatch, tmp_path)
    root, weights = cfg.train_dataloader.dataset.data_root, cfg.model.backbone.init_cfg.checkpoint
    test_coco.shrink(cfg, Path(page.arguments[0]).stem, root, weights, tmp_path / 'work')
    assert cfg.model.roi_head.bbox_head.num_classes == len(page.classes)
    runner, start = utils.train(cfg)
    assert runner.iter == 2
    test_coco.check_backbone('vit', start, checkpoint)
    test_coco.check_evaluation(runner)
    assert list((tmp_path / 'work').glob('best_coco_segm_mAP*.pth'))


@pytest.mark.slow
def test_own_masks(monkeypatch, tmp_path):
    page = Instructions('Your own images and masks')
    images, masks = (str(Path(page.paths[index]).parent) for index in (0, 2))
    parts = dict(train=Path(page.paths[0]).name, val=Path(page.paths[1]).name)
    write_masks(tmp_path, images, masks, parts, num_classes=len(page.classes))
    checkpoint = utils.write_vit_checkpoint(tmp_path / page.environment['PRETRAINED'], img_size=48)
    cfg = page.config(monkeypatch, tmp_path)
    root, weights = cfg.train_dataloader.dataset.data_root, cfg.model.backbone.init_cfg.checkpoint
    test_ade20k.shrink(cfg, root, weights, tmp_path / 'work')
    runner, start = utils.train(cfg)
    assert runner.iter == 2
    test_ade20k.check_backbone(start, checkpoint, grid=(3, 3))
    assert 0 <= metrics_of(runner, 'mIoU')['mIoU'] <= 100
    assert runner.val_dataloader.dataset.metainfo['classes'] == page.classes
    assert list((tmp_path / 'work').glob('best_mIoU*.pth'))


SHRINK = {
    "Your own objects, in COCO's format": lambda cfg, page, weights, folder: test_coco.shrink(
        cfg, Path(page.arguments[0]).stem, folder, weights, folder / 'work'
    ),
    'Your own images and masks': lambda cfg, page, weights, folder: test_ade20k.shrink(
        cfg, folder, weights, folder / 'work'
    ),
}


@pytest.mark.parametrize('title', SHRINK)
def test_published_file(title, monkeypatch, tmp_path):
    page = Instructions(title)
    weights = publish_model(utils.write_vit_checkpoint(tmp_path / 'run.pth'), tmp_path / 'vit.pth')
    cfg = SHRINK[title](page.config(monkeypatch, tmp_path), page, weights, tmp_path)
    with pytest.raises(ValueError, match="nearest prefix is 'backbone.'"):
        init_model(cfg)
    monkeypatch.setenv('PREFIX', 'backbone.')
    cfg = SHRINK[title](page.config(monkeypatch, tmp_path), page, weights, tmp_path)
    published = torch.load(weights, weights_only=True)['state_dict']
    name = 'backbone.layers.11.attn.qkv.weight'
    assert torch.equal(init_model(cfg).state_dict()[name], published[name])


def test_images_of_another_suffix(monkeypatch, tmp_path):
    """mmsegmentation finds none, and fails at making an empty array of them."""
    page = Instructions('Your own images and masks')
    for path in page.paths:
        utils_dense.write_image(tmp_path / path / '0.png', np.zeros((8, 8, 3), np.uint8))
    cfg = page.config(monkeypatch, tmp_path)
    message = r'img_path: .*/images/train .*img_suffix'
    with pytest.raises(ValueError, match=message):
        check_config(cfg)
    with pytest.raises(ValueError, match=message.replace('train', 'val')):
        check_config(cfg, parts=['test'])
    init_default_scope('mmseg')
    with pytest.raises(ValueError, match='at least one array'):
        DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=[]))
    monkeypatch.setenv('IMG_SUFFIX', '.png')
    check_config(page.config(monkeypatch, tmp_path))


def test_a_shorter_run(monkeypatch, tmp_path):
    page = Instructions('Your own images and masks')
    monkeypatch.setenv('IMG_SUFFIX', '.png')
    cfg = page.config(monkeypatch, tmp_path, ['--cfg-options', *page.options])
    assert cfg.train_cfg.max_iters == 4000
    assert cfg.train_cfg.val_interval == 400
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    assert {loader.dataset.img_suffix for loader in loaders} == {'.png'}
    heads = (cfg.model.decode_head, cfg.model.auxiliary_head)
    assert {head.num_classes for head in heads} == {3}
