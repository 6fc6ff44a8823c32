"""``tools/datasets/check.py``, and the trees of files that docs/en/howto/datasets.md shows."""

import json
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmvidssl.data_checks import expected_tree
from tests.test_downstream.utils_dense import configs_of, write_coco
from tests.utils_tool import run_tool

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs/en/howto/datasets.md'
CONFIGS = sorted((ROOT / 'configs/downstream').glob('*/*.py'))
OWN_FOLDERS = {
    folder for path in CONFIGS for folder in re.findall(r"'DATA_ROOT', '(.*?)'", path.read_text())
}
OWN = configs_of('coco')['mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco']


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_page_shows_the_files_of_each_config(path, monkeypatch, tmp_path):
    """Own data are in folders that configs themselves name; they read classes there."""
    monkeypatch.chdir(tmp_path)
    for folder in OWN_FOLDERS:
        Path(folder, 'train/cat').mkdir(parents=True)
        Path(folder, 'classes.txt').write_text('cat')
    tree = expected_tree(Config.fromfile(path)).replace('   (missing)', '')
    assert len(tree.splitlines()) >= 3
    assert f'```text\n{tree}\n```' in PAGE.read_text()


@pytest.fixture
def check(tmp_path, capfd):
    """Exit code and output for a small data set in COCO's format."""
    annotations = {part: f'annotations/instances_{part}2017.json' for part in ('train', 'val')}
    images = {part: f'{part}2017' for part in annotations}
    write_coco(tmp_path, annotations, images, ['cat', 'dog'])
    dataset = dict(data_root=str(tmp_path), metainfo=dict(classes=['cat', 'dog']))
    evaluator = dict(ann_file=str(tmp_path / annotations['val']))
    heads = dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=2))
    changes = dict(
        model=dict(roi_head=heads),
        **{f'{part}_dataloader': dict(dataset=dataset) for part in ('train', 'val', 'test')},
        **{f'{part}_evaluator': evaluator for part in ('val', 'test')},
    )
    lines = [f'_base_ = {str(OWN)!r}', *(f'{key} = {value!r}' for key, value in changes.items())]
    (tmp_path / 'own.py').write_text('\n'.join(lines))

    def run(*arguments):
        code = run_tool('datasets/check', tmp_path / 'own.py', *arguments)
        return code, capfd.readouterr().out

    return run


@pytest.mark.slow
def test_table_and_exit_code(check, tmp_path):
    code, shown = check()
    assert code == 0
    words = [line.split() for line in shown.splitlines()]
    assert ['cat', '4', '2'] in words and ['dog', '4', '2'] in words
    assert 'error' not in shown and 'warning' not in shown and '(missing)' not in shown

    path = tmp_path / 'annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    for item in content['annotations']:
        item['category_id'] = 1
    content['images'][0]['width'] = 77
    path.write_text(json.dumps(content))
    (tmp_path / 'val2017/000001.jpg').unlink()
    code, shown = check()
    assert code == 1
    words = [line.split() for line in shown.splitlines()]
    assert ['cat', '8', '2'] in words and ['dog', '0', '2'] in words
    lines = shown.splitlines()
    errors = [line for line in lines if line.startswith('error: ')]
    assert len(errors) == 2
    assert '000000.jpg' in errors[0] and 'val2017/000001.jpg' in errors[1]
    assert any(line.startswith('warning: ') and 'dog (1)' in line for line in lines)


def test_what_is_not_there(check, tmp_path):
    for path in (tmp_path / 'annotations').iterdir():
        path.unlink()
    code, shown = check('--num-opened', '1')
    assert code == 1
    assert 'instances_val2017.json   (missing)' in shown
    assert 'train_dataloader.dataset.ann_file: ' in shown


def test_no_names_of_classes(capfd, monkeypatch, tmp_path):
    """What the config needs to be read at all."""
    monkeypatch.setenv('DATA_ROOT', str(tmp_path))
    own = configs_of('coco')['mask-rcnn_vit-small-p16_dora-wt-pre_1xb4-amp-ms-12e_own-data']
    assert run_tool('datasets/check', own) == 1
    assert f'error: {tmp_path}/classes.txt' in capfd.readouterr().out
