"""The layering rule of docs/en/overview.md, enforced by reading the imports of every file."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each part of the package may import from the package, besides itself.
BASE = {'registry', 'version'}
SHARED = BASE | {'structures', 'utils'}
PILLARS = {'datasets', 'models', 'engine', 'evaluation', 'visualization'}
ALLOWED = {
    '': {'utils', 'version'},
    'registry': set(),
    'version': set(),
    'structures': BASE,
    'utils': BASE,
    **dict.fromkeys(PILLARS, SHARED),
    'apis': SHARED | PILLARS,
}
# Folders of one pillar do not import each other, except along these edges; every folder of models
# may import models/utils.
INSIDE = {
    ('datasets', 'transforms', 'readers'),
    ('engine', 'hooks', 'checkpoint'),
    ('evaluation', 'metrics', 'functional'),
}
# Who may import the sibling OpenMMLab packages. Configs only name them.
SIBLINGS = {
    'mmdet': (),
    'mmseg': (),
    'mmpretrain': ('models.backbones', 'utils.compat'),
    'mmaction': ('models.backbones', 'utils.compat'),
}
OUTSIDE = {'tools', 'tests', 'projects', 'configs'}


class Import(NamedTuple):
    """One imported name: the module it is taken from, and the name (None for a plain import)."""

    line: int
    module: str
    name: str | None = None

    @property
    def parts(self) -> list[str]:
        return [*self.module.split('.'), *([self.name] if self.name else [])]


def read_imports(path: Path, package: str = '') -> Iterator[Import]:
    """All imports of a file, wherever they stand; relative ones start from ``package``."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'), str(path))):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split('.')[: len(package.split('.')) - node.level + 1]
            prefix = [*parents, node.module] if node.level else [node.module]
            module = '.'.join(part for part in prefix if part)
            yield from (Import(node.lineno, module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(
            node.func, 'attr', getattr(node.func, 'id', '')
        ) in ('import_module', '__import__'):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Import(node.lineno, first.value)


def check_own_import(root: Path, source: list[str], target: list[str]) -> str | None:
    """Why the module ``source`` may not import ``target`` (parts after ``mmvidssl``), or None."""

    def folder(parts: list[str]) -> str | None:
        is_folder = len(parts) > 1 and (root / 'mmvidssl' / parts[0] / parts[1]).is_dir()
        return parts[1] if is_folder else None

    layer, wanted = source[0], target[0] if target else ''
    if layer != wanted:
        if wanted in ALLOWED[layer]:
            return None
        return f'{layer or "mmvidssl/__init__"} may not import {wanted or "mmvidssl itself"}'
    here, there = folder(source), folder(target)
    if None in (here, there) or here == there or (layer, here, there) in INSIDE:
        return None
    if layer in PILLARS and not (layer == 'models' and there == 'utils'):
        return f'{layer}/{here} may not import {layer}/{there}'
    return None


def check_foreign_import(source: list[str], package: str) -> str | None:
    """Why the module ``source`` may not import the top-level ``package``, or None."""
    importers = SIBLINGS.get(package)
    dotted = '.'.join(source)
    if importers is not None and not dotted.startswith(importers or ('never',)):
        return f'{package} may be imported only in {importers or "no module (name it in configs)"}'
    if package in OUTSIDE:
        return f'the package may not import {package}'
    if source[0] in BASE and package not in sys.stdlib_module_names | {'mmengine'}:
        return f'{source[0]} may import only mmengine, not {package}'
    return None


def check_package(root: Path) -> Iterator[str]:
    """Violations in ``root/mmvidssl``."""
    for path in sorted((root / 'mmvidssl').rglob('*.py')):
        parts = path.relative_to(root / 'mmvidssl').with_suffix('').parts
        if parts[0] == '.mim':
            continue
        source = list(parts[:-1] if parts[-1] == '__init__' else parts) or ['']
        package = '.'.join(['mmvidssl', *parts[:-1]])
        if source[0] not in ALLOWED:
            yield f'{path}: {source[0]} has no row in the layering table'
            continue
        for item in read_imports(path, package):
            top, *rest = item.parts
            if top == 'mmvidssl':
                reason = check_own_import(root, source, rest)
            else:
                reason = check_foreign_import(source, top)
            if reason:
                yield f'{path}:{item.line}: {reason}'


def check_tools(root: Path) -> Iterator[str]:
    """Tools use public names of mmvidssl."""
    for path in sorted((root / 'tools').rglob('*.py')):
        for item in read_imports(path):
            private = [part for part in item.parts if part.startswith('_') and part[:2] != '__']
            if item.parts[0] == 'mmvidssl' and private:
                yield f'{path}:{item.line}: a tool may not import the private name {private[0]}'


def check_configs(root: Path) -> Iterator[str]:
    """Configs are strings only."""
    for path in sorted((root / 'configs').rglob('*.py')):
        for item in read_imports(path):
            yield f'{path}:{item.line}: a config may not import {item.module}; name it in a string'


def find_violations(root: Path) -> list[str]:
    return [*check_package(root), *check_tools(root), *check_configs(root)]


def test_layering():
    assert len(list((ROOT / 'mmvidssl').rglob('*.py'))) > 20
    assert find_violations(ROOT) == []


FORBIDDEN = {
    'pillar to pillar': ('mmvidssl/engine/a.py', 'from mmvidssl.models import DINO'),
    'relative': ('mmvidssl/engine/hooks/a.py', 'from ...models.heads import DINOHead'),
    'inside a function': ('mmvidssl/datasets/a.py', 'def f():\n    import mmvidssl.evaluation'),
    'dynamic': ('mmvidssl/datasets/a.py', "import_module('mmvidssl.models')"),
    'package itself': ('mmvidssl/models/heads/a.py', 'import mmvidssl'),
    'upwards': ('mmvidssl/utils/a.py', 'from mmvidssl.structures import VidSSLDataSample'),
    'to the apis': ('mmvidssl/engine/a.py', 'from mmvidssl.apis import init_model'),
    'registry': ('mmvidssl/registry.py', 'import torch'),
    'model siblings': ('mmvidssl/models/heads/a.py', 'from ..losses import DINOLoss'),
    'model siblings by name': ('mmvidssl/models/heads/a.py', 'from .. import losses'),
    'models/utils upwards': ('mmvidssl/models/utils/a.py', 'from ..losses import DINOLoss'),
    'wrong way': ('mmvidssl/datasets/readers/a.py', 'from ..transforms import Clip'),
    'functional to metrics': ('mmvidssl/evaluation/functional/a.py', 'from ..metrics import KNN'),
    'sibling package': ('mmvidssl/models/backbones/a.py', 'from mmdet.models import FPN'),
    'adapter elsewhere': ('mmvidssl/models/heads/a.py', 'import mmpretrain.models'),
    'projects': ('mmvidssl/apis/a.py', 'import projects.example_project'),
    'unknown layer': ('mmvidssl/helpers/a.py', ''),
    'private name in a tool': ('tools/a.py', 'from mmvidssl.apis import _helper'),
    'config': ('configs/dora/a.py', 'from mmvidssl.models import DoRA'),
}
PERMITTED = {
    'shared': ('mmvidssl/engine/a.py', 'from mmvidssl.utils.compat import check_versions'),
    'own folder': ('mmvidssl/models/heads/a.py', 'from .base import BaseHead'),
    'own pillar file': ('mmvidssl/datasets/transforms/a.py', 'from ..clips import ClipIndex'),
    'models/utils': ('mmvidssl/models/heads/a.py', 'from ..utils import ema_update_'),
    'transforms to readers': ('mmvidssl/datasets/transforms/a.py', 'from ..readers import probe'),
    'adapter': ('mmvidssl/models/backbones/a.py', 'from mmaction.models import MViT'),
    'apis': ('mmvidssl/apis/a.py', 'from mmvidssl.models import DoRA'),
    'third party': ('mmvidssl/models/heads/a.py', 'import torch'),
    'tool': ('tools/a.py', 'from mmvidssl.version import __version__'),
}


def plant(root: Path, file: str, source: str) -> None:
    """A small package with the folders of the real one, and one file with ``source``."""
    for folder in (
        'models/losses',
        'models/utils',
        'datasets/readers',
        'datasets/transforms',
        'evaluation/metrics',
        'evaluation/functional',
    ):
        (root / 'mmvidssl' / folder).mkdir(parents=True)
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


@pytest.mark.parametrize(('file', 'source'), FORBIDDEN.values(), ids=FORBIDDEN)
def test_finds_violation(tmp_path, file, source):
    plant(tmp_path, file, source)
    (violation,) = find_violations(tmp_path)
    assert violation.startswith(str(tmp_path / file))


@pytest.mark.parametrize(('file', 'source'), PERMITTED.values(), ids=PERMITTED)
def test_lets_pass(tmp_path, file, source):
    plant(tmp_path, file, source)
    assert find_violations(tmp_path) == []
