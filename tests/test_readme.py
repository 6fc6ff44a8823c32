"""The README's commands and code do what it says."""

import contextlib
import functools
import io
import re
import shlex
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.utils_tool import run_tool

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted(ROOT.glob('docs/**/*.md')),
    *sorted(ROOT.glob('configs/**/README.md')),
    *sorted(ROOT.glob('projects/**/README.md')),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of each command of a page, comments left out, continued lines joined."""
    lines = '\n'.join(blocks(page, 'bash')).replace('\\\n', ' ').splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@functools.cache
def options_of(script: Path) -> str:
    """What ``--help`` prints, of the program that a shell script passes its options to."""
    if script.suffix == '.sh':
        program = {'train': 'train', 'test': 'test'}.get(script.stem.split('_')[-1], 'quickstart')
        return script.read_text() + options_of(script.with_name(f'{program}.py'))
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert run_tool(script.relative_to(ROOT / 'tools').with_suffix(''), '--help') == 0
    return text.getvalue()


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_name_scripts_configs_and_options_that_exist(page):
    for words in commands(page):
        scripts = [ROOT / word for word in words if word.startswith('tools/')]
        for script in scripts:
            assert script.is_file(), f'{page}: {script} does not exist'
        for word in words:
            if word.startswith(('configs/', 'projects/')):
                assert (ROOT / word).exists(), f'{page}: {word} does not exist'
            if scripts and word.startswith('--'):
                assert word in options_of(scripts[0]), f'{page}: {scripts[0]} knows no {word}'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for target in re.findall(r'\]\((?!https?:|#)([^)#]+)', page.read_text()):
        assert (page.parent / target).exists(), f'{page}: {target} does not exist'


def readme_block(beginning: str) -> str:
    found = [b for b in blocks(ROOT / 'README.md', 'python') if b.startswith(beginning)]
    assert len(found) == 1
    return found[0]


def test_the_readmes_model_runs_as_printed(capsys):
    exec(readme_block('import torch'), {})
    printed = capsys.readouterr().out
    assert 'loss_object' in printed and 'loss_local' in printed
    assert 'torch.Size([3, 2, 4, 6, 6])' in printed


def test_the_readmes_config_inherits_from_ours(tmp_path):
    import mmvidssl  # noqa: F401

    path = tmp_path / 'mine.py'
    path.write_text(readme_block('_base_'))
    cfg = Config.fromfile(path)
    assert cfg.model.type == 'DoRA'
    dataset = cfg.train_dataloader.dataset
    assert dataset.type == 'LongVideoDataset'
    assert dataset.pipeline[-1].type == 'PackClipInputs'
    assert 'cities' not in dataset
