"""docs/en/downstream_action.md, followed to the letter with videos of one's own."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mmvidssl.utils.run_config import add_run_arguments, load_run_config
from tests.test_downstream import utils
from tests.test_downstream.utils_action import PRETRAINING_ARCH, check_trained, shrink_recognizer
from tests.utils_video import write_video

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/en/downstream_action.md').read_text()
SECTION = PAGE.split('\n## Your own videos\n')[1].split('\n## ')[0]


def blocks(language):
    return re.findall(f'```{language}\n(.*?)```', SECTION, re.DOTALL)


def list_videos(folder):
    """Videos in the folders of the page, and its command that lists them."""
    (folders,) = blocks('text')
    for path in folders.split():
        (folder / path).mkdir(parents=True)
        for index in range(3):
            write_video(folder / path / f'{index}.mp4', num_frames=20 + index)
    python, *arguments = shlex.split(blocks('bash')[0])
    assert python == 'python'
    arguments[0] = str(ROOT / arguments[0])
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    assert '2 classes, 4 videos for training and 2 for validation' in done.stdout


def read_config(monkeypatch, folder, **environment):
    """The config of the page as ``tools/train.py`` reads it, in the page's environment."""
    words = shlex.split(blocks('bash')[1].replace('\\\n', ' '))
    start = words.index('python')
    said = dict(word.split('=', 1) for word in words[:start])
    for name, value in (said | environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    assert words[start + 1] == 'tools/train.py'
    parser = argparse.ArgumentParser()
    parser.add_argument('config', type=lambda name: ROOT / name)
    add_run_arguments(parser)
    return load_run_config(parser.parse_args(words[start + 2 :])), said


@pytest.mark.slow
def test_own_videos(monkeypatch, tmp_path):
    list_videos(tmp_path)
    cfg, said = read_config(monkeypatch, tmp_path)
    classes = said['CLASSES'].split(',')
    assert (tmp_path / said['DATA_ROOT'] / 'classes.txt').read_text().split() == classes
    checkpoint = utils.write_mvit_checkpoint(tmp_path / said['PRETRAINED'], PRETRAINING_ARCH)
    assert cfg.model.cls_head.num_classes == len(classes)
    shrink_recognizer(cfg, said['PRETRAINED'], tmp_path / 'work')
    runner, start = utils.train(cfg)
    check_trained(runner, start, checkpoint, is_mvit=True)
    assert list((tmp_path / 'work').glob('best_acc_top1*.pth'))


@pytest.mark.slow
def test_too_few_classes_are_refused(monkeypatch, tmp_path):
    list_videos(tmp_path)
    cfg, said = read_config(monkeypatch, tmp_path, CLASSES='juggling')
    utils.write_mvit_checkpoint(tmp_path / said['PRETRAINED'], PRETRAINING_ARCH)
    shrink_recognizer(cfg, said['PRETRAINED'], tmp_path / 'work')
    with pytest.raises(ValueError, match='label'):
        utils.train(cfg)
