"""Packaging of mmvidssl.

``configs/``, ``tools/`` and ``model-index.yml`` go into the package as ``mmvidssl/.mim``, where
mim, ``mmengine.hub`` and ``_base_ = 'mmvidssl::...'`` look for them: copied into a wheel, linked
in an editable install. Building leaves nothing behind in the source tree. ``tools/benchmarks`` stay
out of a wheel: they need ``tests`` and ``projects``.
"""

import atexit
import re
import shutil
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')

# A line that Python runs at its start: where mmcv-lite lacks mmcv's compiled operators and mmvidssl
# is not imported yet, import it. It then puts a finder of its own last (utils/compat.py), to which
# the search that is under way goes on.
PTH_FILE = 'mmvidssl.pth'
PTH = (
    "import sys; sys.meta_path.append(type('ImportMmvidssl', (), {'find_spec': staticmethod("
    "lambda name, *_: __import__('mmvidssl') and None if name == 'mmcv._ext' else None)}))\n"
)

# Ranges; what was tested together is pinned in requirements/. mmvidssl/utils/compat.py refuses the
# same ranges at import, and tests/test_packaging.py holds the two together.
# decord, which mmaction2 asks for, has no wheels for other platforms and cannot be built by pip.
HAS_DECORD = "; sys_platform != 'darwin' and platform_machine in 'x86_64 AMD64'"
INSTALL_REQUIRES = [
    'av>=17',
    f'decord>=0.6{HAS_DECORD}',
    'filelock>=3.8',
    'importlib-metadata',  # mmaction2 does not ask for it
    'jinja2>=3.1',
    'matplotlib>=3.5',
    f'mmaction2>=1.2.0,<1.3{HAS_DECORD}',
    'mmcv-lite>=2.0.0,<2.2.0',
    'mmengine>=0.10.3,<1.0',
    'mmpretrain>=1.2.0,<1.3',
    'numpy>=1.25',
    'packaging>=21',
    'pebble>=5.0',
    'pillow>=9',
    'plotly>=6.0',
    'safetensors>=0.4',
    'scikit-learn>=1.5',
    'scipy>=1.10',
    'pyyaml',
    'setuptools<82',
    'torch>=2.9',
    'torchvision>=0.24',
    'tqdm>=4.60',
]
EXTRAS = {
    'detection': ['mmdet>=3.3.0,<3.4', 'pycocotools'],
    'segmentation': ['mmsegmentation>=1.2.2,<1.3', 'ftfy', 'regex'],
    'docs': [
        'furo',
        'myst-parser>=4',
        'sphinx>=8',
        'sphinx-copybutton',
        'sphinx-design',
        'sphinx-gallery',
    ],
    'download': ['yt-dlp[default,deno]>=2026.10'],
    'onnx': ['onnx>=1.16', 'onnxruntime>=1.17', 'onnxscript>=0.5'],
    'torchcodec': ['torchcodec>=0.8'],
    'tests': ['playwright>=1.45', 'pytest>=8', 'pytest-xdist', 'scikit-image', 'timm>=1.0'],
    'dev': ['codespell', 'mypy', 'pre-commit', 'ruff'],
}
EXTRAS['all'] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})


def read_version() -> str:
    """The version, without importing the package (whose requirements may not be there yet)."""
    source = (ROOT / 'mmvidssl/version.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '(.+)'$", source, re.MULTILINE)
    if match is None:
        raise ValueError("mmvidssl/version.py must hold a line __version__ = '...', but has none")
    return match[1]


def read_long_description() -> str:
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


def link_mim(package: Path) -> None:
    """Point ``package/.mim`` at the checkout's own folders, so that an edited config is used."""
    mim = package / '.mim'
    mim.mkdir(exist_ok=True)
    for part in MIM_PARTS:
        link = mim / part
        if link.is_symlink() or link.is_file():
            link.unlink()
        elif link.is_dir():
            shutil.rmtree(link)
        link.symlink_to(Path('..', '..', part))


def copy_mim(package: Path) -> list[str]:
    """Copy the same folders into ``package/.mim``; returns the files written."""
    mim = package / '.mim'
    ignore = shutil.ignore_patterns('__pycache__', '*.py[cod]', '.*', 'benchmarks')
    mim.mkdir(parents=True, exist_ok=True)
    for part in MIM_PARTS:
        source, target = ROOT / part, mim / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    return [str(path) for path in mim.rglob('*') if path.is_file()]


class BuildPyWithMim(build_py):
    """``build_py`` that also lays out ``.mim`` and the ``.pth`` file."""

    mim_files: tuple[str, ...] = ()

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            link_mim(ROOT / 'mmvidssl')
            site_packages = Path(self.get_finalized_command('install').install_lib)
        else:
            self.mim_files = tuple(copy_mim(Path(self.build_lib, 'mmvidssl')))
            site_packages = Path(self.build_lib)
        site_packages.mkdir(parents=True, exist_ok=True)
        (site_packages / PTH_FILE).write_text(PTH, encoding='utf-8')

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        pth = str(Path(self.build_lib, PTH_FILE))
        return [*super().get_outputs(include_bytecode), *self.mim_files, pth]


def scratch_folder() -> str:
    """A folder for setuptools' intermediate files, removed at exit.

    Left in the source tree, ``build/`` would put files deleted since into the next wheel.
    """
    folder = tempfile.mkdtemp(prefix='mmvidssl-build-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


if __name__ == '__main__':
    SCRATCH = scratch_folder()
    setup(
        name='mmvidssl',
        version=read_version(),
        description='Self-supervised learning from video for OpenMMLab',
        long_description=read_long_description(),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        license_files=['LICENSE'],
        keywords='computer vision, video, self-supervised learning, OpenMMLab',
        classifiers=[
            'Development Status :: 3 - Alpha',
            'Intended Audience :: Science/Research',
            'Programming Language :: Python :: 3',
            'Topic :: Scientific/Engineering :: Artificial Intelligence',
        ],
        packages=find_packages(include=['mmvidssl', 'mmvidssl.*']),
        package_data={'mmvidssl.visualization': ['templates/*.j2']},
        python_requires='>=3.11,<3.14',
        install_requires=INSTALL_REQUIRES,
        extras_require=EXTRAS,
        cmdclass={'build_py': BuildPyWithMim},
        options={'build': {'build_base': SCRATCH}, 'egg_info': {'egg_base': SCRATCH}},
        zip_safe=False,
    )
