"""docs/en/downstream_action.md, followed to the letter with videos of one's own."""

import argparse
import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmvidssl.utils.run_config import add_run_arguments, load_run_config
from tests.test_downstream import utils
from tests.test_downstream.utils_action import check_trained, shrink_recognizer
from tests.utils_tool import run_tool
from tests.utils_video import write_video

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/en/downstream_action.md').read_text()
SECTION = PAGE.split('\n## Your own videos\n')[1].split('\n## ')[0]


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
