"""Everything that differs between versions, and nothing else. No other module asks for a version.

Each workaround names the release it is for, applies only where that release's fault is present,
and has a test in ``tests/test_utils/test_compat.py``.
"""

import importlib.util
import sys
from collections.abc import Callable
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from packaging.specifiers import SpecifierSet


class Requirement(NamedTuple):
    """A distribution, the releases that work, and whether mmvidssl runs without it."""

    name: str
    specifier: str
    optional: bool = False


REQUIREMENTS = (
    Requirement('av', '>=17'),  # the first whose streams have `index_entries`
    Requirement('torch', '>=2.9'),  # the oldest on which the tests of models and engine pass
    Requirement('mmengine', '>=0.10.3,<1.0'),
    Requirement('mmcv', '>=2.0.0,<2.2.0', optional=True),  # or
    Requirement('mmcv-lite', '>=2.0.0,<2.2.0', optional=True),
    Requirement('mmpretrain', '>=1.2.0,<1.3'),
    Requirement('mmdet', '>=3.3.0,<3.4', optional=True),
    Requirement('mmsegmentation', '>=1.2.2,<1.3', optional=True),
    Requirement('mmaction2', '>=1.2.0,<1.3', optional=True),
)


def check_versions(requirements: tuple[Requirement, ...] = REQUIREMENTS) -> None:
    """Refuse installed versions that cannot work with mmvidssl.

    Raises:
        ImportError: names what was found, what is needed and the command that fixes it.
    """
    for name, specifier, optional in requirements:
        found, fork = _find_version(name), f'onedl-{name}'
        if _find_version(fork):  # tried: onedl-mmcv 2.3.6, -mmengine 0.10.12 and their siblings
            raise ImportError(
                f'{fork}, a fork of {name}, is installed: mmaction2, which has no fork, refuses '
                f'its mmcv 2.3. Fix it with: pip uninstall -y {fork} && pip install '
                f"--force-reinstall '{name}{specifier}'"
            )
        if found is None and optional:
            continue
        if found is None or not SpecifierSet(specifier).contains(found, prereleases=True):
            state = 'is not installed' if found is None else f'{found} is installed'
            raise ImportError(
                f'mmvidssl needs {name}{specifier}, but {name} {state}. '
                f"Fix it with: pip install '{name}{specifier}'"
            )
    _check_pkg_resources()
    _check_mmcv()


def _find_version(name: str) -> str | None:
    """Version of a distribution; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _check_mmcv() -> None:
    """mmcv and mmcv-lite put the same files into the same folder; each alone will do.

    Of one version, the files are equal, so that operators compiled for mmcv stay usable.
    """
    found, lite = _find_version('mmcv'), _find_version('mmcv-lite')
    if found is None and lite is None:
        raise ImportError(
            "mmvidssl needs mmcv-lite or mmcv. Fix it with: pip install 'mmcv-lite<2.2'"
        )
    if found and lite and found != lite:
        raise ImportError(
            f'mmcv {found} and mmcv-lite {lite} are both installed and overwrite each other. Keep '
            "one: pip uninstall -y mmcv mmcv-lite && pip install 'mmcv-lite<2.2' (or mmcv==2.1.0, "
            'for compiled operators)'
        )


def _check_pkg_resources() -> None:
    """mmengine 0.10 (not 0.11) imports ``pkg_resources``, which setuptools 82 removed.

    The remedy names 80.9 because from there on each import of ``pkg_resources`` prints a warning.
    """
    needs_it = SpecifierSet('<0.11.0.dev0').contains(version('mmengine'), prereleases=True)
    if needs_it and importlib.util.find_spec('pkg_resources') is None:
        found = _find_version('setuptools')
        state = f'{found} is installed' if found else 'is not installed'
        raise ImportError(
            f'mmengine {version("mmengine")} needs setuptools<82 (it imports pkg_resources), but '
            f"setuptools {state}. Fix it with: pip install 'setuptools<80.9'"
        )


def register_package() -> None:
    """Make ``_base_ = 'mmvidssl::...'`` resolve, mmcv-lite's ops and mmaction2 1.2.0 importable.

    mmengine keeps its map from import names to distributions hard-coded; ours is not in it.
    It looks for ``.mim`` where pip put the distribution, which for an editable install is not where
    the package is. For a name that is no distribution it asks the import system instead, so it is
    given the name of one of our modules.
    """
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE.setdefault('mmvidssl', 'mmvidssl.version')
    for finder in (_MissingOpsFinder, _MissingDRNFinder):
        if not any(isinstance(other, finder) for other in sys.meta_path):
            sys.meta_path.append(finder())
    if not any(isinstance(finder, _MendingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MendingFinder())
        for name in PATCHES.keys() & sys.modules.keys():
            PATCHES[name](sys.modules[name])


def strip_function_scopes(cfg: dict) -> None:
    """Make the functions of data loaders in a config of another package callable, in place.

    mmengine 0.10 marks every dict of a base such as ``'mmaction::...'`` with ``_scope_``, and
    passes it on to ``collate_fn`` and ``worker_init_fn`` as an argument, which no function takes.
    It is of no use: names of functions are not looked up in it.
    """
    for name, loader in cfg.items():
        for key in ('collate_fn', 'worker_init_fn'):
            function = loader.get(key) if name.endswith('_dataloader') and loader else None
            if isinstance(function, dict):
                function.pop('_scope_', None)


class _MissingOpsFinder(MetaPathFinder):
    """Answers for ``mmcv._ext``, mmcv's compiled operators, which mmcv-lite lacks.

    It stands last in ``sys.meta_path``: where compiled operators exist, it is never asked. Where
    mmcv is imported before mmvidssl, a ``.pth`` file of the installation adds it (``setup.py``).
    """

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname != 'mmcv._ext':
            return None
        return spec_from_file_location(fullname, Path(__file__).with_name('mmcv_ops.py'))


class _MissingDRNFinder(MetaPathFinder, Loader):
    """Stand-in for ``mmaction.models.localizers.drn``, left out of the mmaction2 1.2.0 wheel.

    ``mmaction.models`` imports a class ``DRN`` from it unconditionally (mmaction2#2714). The finder
    stands last in ``sys.meta_path``: where the real package exists, it is never asked.
    """

    package = 'mmaction.models.localizers.drn'

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname not in (self.package, f'{self.package}.drn'):
            return None
        return ModuleSpec(fullname, self, is_package=fullname == self.package)

    def exec_module(self, module) -> None:
        if module.__name__ != self.package:
            module.DRN = _MissingDRN


class _MissingDRN:
    """Refuses to be built: the localizer's code is absent."""

    def __init__(self, *args, **kwargs) -> None:
        raise ImportError(
            'the mmaction2 1.2.0 wheel was published without mmaction/models/localizers/drn; '
            'install mmaction2 from source to use DRN'
        )


def _mend_action_head(module: ModuleType) -> None:
    """Cast scores to float32, since mmaction2 1.2 turns them into NumPy's arrays.

    These have no bfloat16, which autocast makes on a CPU, and with ``dtype='bfloat16'`` on a GPU,
    in training (top-k accuracy) and in a validation (``fp16=True``).
    """
    for name in ('loss_by_feat', 'predict_by_feat'):
        _wrap(module.BaseHead, name, lambda head, scores, *rest: (head, scores.float(), *rest))


def _mend_ava_metrics(module: Any) -> None:
    """Score classes without ground truth NaN: mmaction2 1.2 has ``np.NAN``, gone in numpy 2."""
    average_precision = module.compute_average_precision

    @wraps(average_precision)
    def patched(precision, recall):
        if precision is None and recall is None:
            return float('nan')
        return average_precision(precision, recall)

    module.compute_average_precision = patched


def _mend_roi_align(module: ModuleType) -> None:
    """Pass contiguous tensors: mmcv's compiled RoIAlign reads others wrongly (#2203)."""
    forward = module.RoIAlignFunction.forward
    module.RoIAlignFunction.forward = staticmethod(
        lambda ctx, maps, rois, *rest: forward(ctx, maps.contiguous(), rois.contiguous(), *rest)
    )


def _mend_checkpoint_loader(module: Any) -> None:
    """Find weights under other keys than ``state_dict`` too, and note their token grids."""
    from argparse import Namespace

    from torch.serialization import add_safe_globals

    from .roles import prepare_checkpoint

    add_safe_globals([Namespace])  # harmless; released checkpoints keep options in it

    load, load_part = module.CheckpointLoader.load_checkpoint, module._load_checkpoint_with_prefix

    def load_under(prefix: str, *args, **kwargs):
        if prefix:
            return load_part(prefix, *args, **kwargs)
        checkpoint = module._load_checkpoint(*args, **kwargs)  # '' would become '.' in mmengine
        return checkpoint.get('state_dict', checkpoint)

    @wraps(load)
    def patched(*args, **kwargs):
        checkpoint = load(*args, **kwargs)
        return prepare_checkpoint(checkpoint) if isinstance(checkpoint, dict) else checkpoint

    module.CheckpointLoader.load_checkpoint = staticmethod(patched)
    module._load_checkpoint_with_prefix = load_under


def _mend_vit(module: Any) -> None:
    """Load positions of any grid, and timm's names, which mmpretrain 1.2 misreads."""
    from .token_grid import fit_positions
    from .vit_names import take_others

    def fit(vit: Any, state_dict: dict, prefix: str, *rest: Any) -> tuple:
        take_others(vit, state_dict, prefix)
        if (positions := state_dict.get(f'{prefix}pos_embed')) is not None:
            state_dict[f'{prefix}pos_embed'] = fit_positions(vit, positions)
        return vit, state_dict, prefix, *rest

    _wrap(module.VisionTransformer, '_prepare_pos_embed', fit)


def _wrap(owner: type, name: str, change: Callable[..., tuple]) -> None:
    """Replace a method by one whose positional arguments ``change`` has changed."""
    method = getattr(owner, name)
    setattr(owner, name, wraps(method)(lambda *args, **kwargs: method(*change(*args), **kwargs)))


PATCHES: dict[str, Callable[[ModuleType], Any]] = {
    'mmaction.models.heads.base': _mend_action_head,
    'mmaction.evaluation.functional.ava_evaluation.metrics': _mend_ava_metrics,
    'mmcv.ops.roi_align': _mend_roi_align,
    'mmengine.runner.checkpoint': _mend_checkpoint_loader,
    'mmpretrain.models.backbones.vision_transformer': _mend_vit,
}
"""Functions that patch modules of other libraries, each called when its module is imported."""


class _MendingFinder(MetaPathFinder):
    """Import hook that patches the modules in ``PATCHES`` after they are loaded."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname not in PATCHES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            PATCHES[fullname](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
