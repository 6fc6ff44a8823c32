"""Object discovery from the command line, on pictures in VOC's layout."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.evaluation import attention_box, corloc, lost_box, tokencut_box
from mmvidssl.models.backbones import DINOViT
from tests.test_downstream import utils
from tests.test_downstream.utils_dense import CONFIGS
from tests.utils_tool import run_tool

CONFIG = CONFIGS / 'voc/discovery_vit-small-p16_dora-wt-pre_voc07.py'
SIZES = [(100, 128), (128, 90), (96, 96), (81, 113)]  # of which patches fill but one


def write_voc(root):
    """Discs on noise, and a box of the whole picture that any large find overlaps."""
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    boxes = {}
    for index, (height, width) in enumerate(SIZES):
        picture = rng.integers(0, 60, (height, width, 3), np.uint8)
        cv2.circle(picture, (50, 45), 25, (40, 120, 250), -1)
        cv2.imwrite(str(root / f'JPEGImages/{index}.jpg'), picture)
        box = boxes[index] = [25, 20, 76, 71] if index % 2 else [0, 0, width, height]
        corners = zip(('xmin', 'ymin', 'xmax', 'ymax'), np.add(box, [1, 1, 0, 0]), strict=True)
        text = ''.join(f'<{name}>{value}</{name}>' for name, value in corners)
        text = f'<annotation><object><bndbox>{text}</bndbox></object></annotation>'
        (root / f'Annotations/{index}.xml').write_text(text)
    (root / 'ImageSets/Main/trainval.txt').write_text('\n'.join(map(str, boxes)))
    return boxes


def find(backbone, path):
    """Boxes by the model's own keys and attention, of a picture that is padded here."""
    pixels = torch.from_numpy(cv2.imread(str(path))[..., ::-1].copy()).permute(2, 0, 1)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    )
    height, width = pixels.shape[1:]
    padded = torch.nn.functional.pad((pixels - mean) / std, (0, -width % 16, 0, -height % 16))
    with torch.no_grad():
        tokens = backbone.forward_tokens(padded[None, :, None])
    key = tokens.key[0, 0, :, 1:].transpose(0, 1).flatten(1).unflatten(0, tokens.grid)
    attention = tokens.class_attention[0, 1].unflatten(0, tokens.grid)
    found = dict(
        lost=lost_box(key, 10, 16),
        tokencut=tokencut_box(key, 16),
        attention=attention_box(attention, 16),
    )
    return {name: np.minimum(box, [width, height] * 2) for name, box in found.items()}


def test_corloc_of_a_training_checkpoint(pretrained, tmp_path):
    boxes = write_voc(tmp_path / 'VOC2007')
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.update(arch=utils.NARROW_VIT, img_size=64)
    cfg.test_dataloader.num_workers = 0
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'VOC2007')
    cfg.test_evaluator[0].update(k=10, head=1)
    cfg.dump(tmp_path / 'own.py')
    arguments = tmp_path / 'own.py', pretrained.dora, '--work-dir', tmp_path
    assert run_tool('test', *arguments) == 0
    found = json.loads((tmp_path / 'evaluation.json').read_text())
    teacher = DINOViT(arch=utils.NARROW_VIT, img_size=64, patch_size=16).eval()
    weights = torch.load(pretrained.dora, weights_only=True)['state_dict'].items()
    prefix = utils.TEACHER
    teacher.load_state_dict({k[len(prefix) :]: v for k, v in weights if k.startswith(prefix)})
    hits = {name: [] for name in ('lost', 'tokencut', 'attention')}
    for index, box in boxes.items():
        path = tmp_path / f'VOC2007/JPEGImages/{index}.jpg'
        expected = {k: 100 * corloc([b], [[box]]) for k, b in find(teacher, path).items()}
        assert found['samples'][str(path)] == {f'corloc/{k}': v for k, v in expected.items()}
        for name, value in expected.items():
            hits[name].append(value)
    assert found['metrics'] == {f'corloc/{k}': np.mean(v) for k, v in hits.items()}
    assert {value for values in hits.values() for value in values} == {0, 100}
    (tmp_path / 'VOC2007/JPEGImages/2.jpg').write_bytes(b'no picture')
    with pytest.raises((OSError, ValueError), match=r'2\.jpg'):
        run_tool('test', *arguments, '--cfg-options', 'test_evaluator.0.k=9')
