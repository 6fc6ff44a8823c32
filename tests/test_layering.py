"""The layering of docs/en/concepts/overview.md, by ``[tool.importlinter]`` in pyproject.toml."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Per contract: files of the package, and an import in each that breaks it.
BROKEN = {
    'pillars': {
        'engine/hooks/a.py': 'from ...models.heads import dora_head',
        'datasets/a.py': 'def f():\n    import mmvidssl.evaluation',
        'evaluation/a.py': 'from mmvidssl.apis import init_model',
        'utils/a.py': 'from mmvidssl.structures import VidSSLDataSample',
        'version.py': 'import mmvidssl.utils',
        'helpers/__init__.py': '',  # a folder without a layer
    },
    'models': {
        'models/heads/a.py': 'from .. import losses',
        'models/utils/a.py': 'from ..losses import dino_loss',
    },
    'datasets': {'datasets/readers/a.py': 'from ..transforms import masking'},
    'engine': {
        'engine/checkpoint/a.py': 'from .. import hooks',
        'engine/loops/a.py': 'from ..hooks import nan_guard_hook',
    },
    'named-in-configs': {
        'models/backbones/a.py': 'from mmdet.models import FPN',
        'apis/a.py': 'import projects.example_project',
    },
    'data-checks': {'models/heads/a.py': 'import mmvidssl.data_checks'},
    'light': {'registry.py': 'import torch'},
    'adapters': {'models/heads/a.py': 'import mmpretrain.models'},
}


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Check the package in ``folder`` against the contracts."""
    config = ROOT / 'pyproject.toml'
    command = [Path(sys.executable).with_name('lint-imports'), config, *options]
    return subprocess.run(
        [*command, '--no-cache', '--no-logo'], cwd=folder, capture_output=True, text=True
    )


def test_package_keeps_its_contracts():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout
    assert ' 0 broken' in result.stdout


@pytest.mark.parametrize('contract', BROKEN)
def test_each_violation_is_found(contract, tmp_path):
    for file, source in BROKEN[contract].items():
        folder = tmp_path / file.replace('/', '-')
        shutil.copytree(ROOT / 'mmvidssl', folder / 'mmvidssl', ignore=lambda *_: {'.mim'})
        path = folder / 'mmvidssl' / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        result = lint(folder, '--contract', contract)
        assert result.returncode == 1, (file, result.stdout)
        assert ' 1 broken' in result.stdout


def imports_of(path: Path) -> set[str]:
    """Dotted names of all that a file imports, wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, 'module', None)
            names |= {f'{module}.{a.name}' if module else a.name for a in node.names}
    return names


def test_tools_use_public_names():
    for path in (ROOT / 'tools').rglob('*.py'):
        ours = {name for name in imports_of(path) if name.startswith('mmvidssl')}
        assert not {name for name in ours if '._' in name}, path


def test_configs_import_nothing():
    """Those for data of one's own read the environment and the names of the classes."""
    for path in (ROOT / 'configs').rglob('*.py'):
        found = imports_of(path)
        if 'own-data' in path.stem:
            assert {name.rpartition('.')[0] for name in found} <= {'', 'mmvidssl.data_checks'}
        else:
            assert not found, path
