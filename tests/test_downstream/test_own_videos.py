"""docs/en/tutorials/downstream_action.md, followed to the letter with videos of one's own."""

import argparse
import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner

from mmvidssl.utils.run_config import add_run_arguments, load_run_config
from tests.test_downstream import utils
from tests.test_downstream.utils_action import check_trained, shrink_recognizer
from tests.utils_tool import run_tool
from tests.utils_video import draw_frame, write_video

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/en/tutorials/downstream_action.md').read_text()
SECTION = PAGE.split('\n## Your own videos\n')[1].split('\n## ')[0]
SECTION, FRAMES = SECTION.split('\n### Folders of frames\n')


def blocks(language):
    return re.findall(f'```{language}\n(.*?)```', SECTION, re.DOTALL)


@pytest.fixture(scope='module')
def folder(tmp_path_factory, pretrained):
    """Videos in the folders of the page, listed by its command, and pretrained weights."""
    folder = tmp_path_factory.mktemp('own')
    (folders,) = blocks('text')
    for path in folders.split():
        (folder / path).mkdir(parents=True)
        for index in range(3):
            write_video(folder / path / f'{index}.mp4', num_frames=20 + index)
    python, script, *arguments = shlex.split(blocks('bash')[0])
    assert python == 'python'
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        assert run_tool(Path(script).relative_to('tools').with_suffix(''), *arguments) == 0
    assert '2 classes, 4 videos for training and 2 for validation' in printed.getvalue()
    shutil.copy(pretrained.maskfeat, folder / 'maskfeat.pth')
    return folder


def read_config(monkeypatch, folder):
    """The config of the page as ``tools/train.py`` reads it, in the page's environment."""
    words = shlex.split(blocks('bash')[1].replace('\\\n', ' '))
    start = words.index('python')
    said = dict(word.split('=', 1) for word in words[:start])
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    assert words[start + 1] == 'tools/train.py'
    parser = argparse.ArgumentParser()
    parser.add_argument('config', type=lambda name: ROOT / name)
    add_run_arguments(parser)
    return load_run_config(parser.parse_args(words[start + 2 :])), said


@pytest.mark.slow
def test_own_videos(folder, monkeypatch, tmp_path):
    cfg, said = read_config(monkeypatch, folder)
    classes = [Path(path).name for path in blocks('text')[0].split()]
    checkpoint = folder / said['PRETRAINED']
    assert cfg.model.cls_head.num_classes == len(classes)
    shrink_recognizer(cfg, said['PRETRAINED'], tmp_path)
    runner, start = utils.train(cfg)
    check_trained(runner, start, checkpoint, is_mvit=True)
    (best,) = tmp_path.glob('best_acc_top1*.pth')
    assert torch.load(best, weights_only=True)['meta']['dataset_meta']['classes'] == classes


def test_classes_in_another_order_are_refused(folder, monkeypatch, tmp_path):
    """Before the first iteration; other mistakes are in the tests of listed classes."""
    (classes,) = folder.rglob('classes.txt')
    written = classes.read_text()
    classes.write_text('sleeping\njuggling')
    try:
        cfg, said = read_config(monkeypatch, folder)
        shrink_recognizer(cfg, said['PRETRAINED'], tmp_path)
        monkeypatch.setattr(Runner, '_init_model_weights', lambda self: pytest.fail('begun'))
        with pytest.raises(ValueError, match='0 for videos in juggling/'):
            utils.train(cfg)
    finally:
        classes.write_text(written)


def test_folders_of_frames(monkeypatch, tmp_path):
    """The config of the page gives clips and labels; each video is shown twice, with one label."""
    (text,) = re.findall('```python\n(.*?)```', FRAMES, re.DOTALL)
    text = text.replace("'./", f"'{ROOT}/configs/downstream/kinetics/")
    (tmp_path / 'frames.py').write_text(text)
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        for number in range(1, 81):
            cv2.imwrite(str(tmp_path / name / f'img_{number:05}.jpg'), draw_frame(number, (64, 96)))
    (tmp_path / 'classes.txt').write_text('one\ntwo')
    for part in ('train', 'val'):
        (tmp_path / f'{part}.txt').write_text('a 80 0\nb 80 1\n')
    monkeypatch.setenv('DATA_ROOT', str(tmp_path))
    cfg = Config.fromfile(tmp_path / 'frames.py')
    init_default_scope(cfg.default_scope)
    train, val = (DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val'))
    samples = train[1]
    assert [sample['inputs'].shape for sample in samples] == [(1, 3, 16, 224, 224)] * 2
    assert {int(sample['data_samples'].gt_label) for sample in samples} == {1}
    assert val.metainfo['classes'] == ['one', 'two'] and val[0]['inputs'].shape[2] == 16
