"""One test for each workaround in ``mmvidssl/utils/compat.py``."""

import os
import runpy
import subprocess
import sys
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.runner import Runner
from packaging.specifiers import SpecifierSet

from mmvidssl.utils.compat import (
    REQUIREMENTS,
    Requirement,
    _MissingDRNFinder,
    check_versions,
    register_package,
    strip_function_scopes,
)

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class TestCheckVersions:
    def test_accepts_what_is_installed(self):
        check_versions()
        for name, specifier, optional in REQUIREMENTS:
            if not optional:
                assert SpecifierSet(specifier).contains(version(name), prereleases=True)

    def test_refuses_a_version_out_of_range(self):
        with pytest.raises(ImportError) as error:
            check_versions((Requirement('numpy', '<1.0'),))
        message = str(error.value)
        assert f'needs numpy<1.0, but numpy {version("numpy")} is installed' in message
        assert "pip install 'numpy<1.0'" in message

    def test_refuses_an_optional_package_of_the_wrong_version(self):
        with pytest.raises(ImportError, match='needs numpy<1.0'):
            check_versions((Requirement('numpy', '<1.0', optional=True),))

    def test_refuses_a_missing_package(self):
        with pytest.raises(ImportError, match='no-such-package>=1.*installed'):
            check_versions((Requirement('no-such-package', '>=1'),))

    def test_lets_an_optional_package_be_missing(self):
        check_versions((Requirement('no-such-package', '>=1', optional=True),))

    @pytest.mark.parametrize(
        ('installed', 'message'),
        [
            ({'mmcv': '2.1.0'}, None),
            ({'mmcv_lite': '2.0.1'}, None),
            ({'mmcv': '2.1.0', 'mmcv_lite': '2.1.0'}, None),  # equal files
            ({}, "pip install 'mmcv-lite"),
            ({'mmcv': '2.2.0'}, "pip install 'mmcv>="),
            ({'mmcv_lite': '2.2.0'}, "pip install 'mmcv-lite>="),
            ({'mmcv': '2.0.1', 'mmcv_lite': '2.1.0'}, 'pip uninstall -y mmcv'),
            ({'onedl_mmcv': '2.3.6'}, 'pip uninstall -y onedl-mmcv'),
        ],
    )
    def test_one_mmcv(self, tmp_path, monkeypatch, installed, message):
        others = {'av': '18', 'torch': '2.14.1', 'mmengine': '0.11.0', 'mmpretrain': '1.2.0'}
        for name, number in {**others, **installed}.items():
            folder = tmp_path / f'{name}-{number}.dist-info'
            folder.mkdir()
            (folder / 'METADATA').write_text(f'Name: {name}\nVersion: {number}\n')
        monkeypatch.setattr(sys, 'path', [str(tmp_path)])
        with nullcontext() if message is None else pytest.raises(ImportError, match=message):
            check_versions()


def test_says_how_to_get_pkg_resources_back():
    """setuptools 82 without pkg_resources, as seen by mmengine 0.10."""
    result = run_python(
        'import importlib.util as util\n'
        'find_spec = util.find_spec\n'
        'util.find_spec = lambda name, *rest: '
        'None if name == "pkg_resources" else find_spec(name, *rest)\n'
        'import mmvidssl\n'
    )
    assert result.returncode != 0
    assert 'needs setuptools<82 (it imports pkg_resources)' in result.stderr
    assert "pip install 'setuptools<80.9'" in result.stderr


class TestRegisterPackage:
    def test_mmengine_finds_the_package_folder_silently(self):
        """For a wheel, an editable install and a bare PYTHONPATH alike; setuptools 80.9 warns."""
        result = run_python(
            'import mmvidssl\n'
            'from mmengine.config.utils import MODULE2PACKAGE\n'
            'from mmengine.utils import get_installed_path, is_installed\n'
            'package = MODULE2PACKAGE["mmvidssl"]\n'
            'assert is_installed(package)\n'
            'print(get_installed_path(package))\n'
        )
        assert (result.stdout.strip(), result.stderr) == (str(ROOT / 'mmvidssl'), '')

    def test_is_idempotent(self):
        register_package()
        register_package()
        finders = [finder for finder in sys.meta_path if isinstance(finder, _MissingDRNFinder)]
        assert len(finders) == 1


class TestMissingOps:
    """``mmcv`` is what mmcv-lite installs: this mmcv without its compiled operators."""

    USE = (
        'import mmcv.ops, torch\n'
        'boxes = torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8], [20, 0, 29, 9]])\n'
        'print(mmcv.ops.nms(boxes, torch.tensor([0.5, 0.6, 0.7]), 0.5)[1].tolist())\n'
    )

    @pytest.fixture
    def site(self, tmp_path):
        (tmp_path / 'mmcv').mkdir()
        for path in Path(find_spec('mmcv').origin).parent.iterdir():
            if not path.name.startswith('_ext'):
                (tmp_path / 'mmcv' / path.name).symlink_to(path)
        setup_py = runpy.run_path(str(ROOT / 'setup.py'))
        (tmp_path / setup_py['PTH_FILE']).write_text(setup_py['PTH'])
        return tmp_path

    @pytest.mark.parametrize('first', ['import mmvidssl', 'import site; site.addsitedir({!r})'])
    def test_operators_whichever_is_imported_first(self, site, first):
        """mmvidssl by its user, or by the line that the installation leaves beside packages."""
        code = f'import sys; sys.path.insert(0, {str(site)!r})\n{first}\n{self.USE}'
        result = run_python(code.format(str(site)))
        assert result.stdout == '[2, 1]\n', result.stderr

    def test_compiled_operators_come_first(self, site):
        (site / 'mmcv/_ext.py').write_text('nms = "the real one"')
        result = run_python(
            f'import sys; sys.path.insert(0, {str(site)!r})\n'
            'import mmvidssl, mmcv._ext\n'
            'print(mmcv._ext.nms)\n'
        )
        assert result.stdout == 'the real one\n', result.stderr


class TestMissingDRN:
    def test_mmaction_models_imports_and_drn_refuses_to_be_built(self):
        models = import_module('mmaction.models')
        with pytest.raises(ImportError, match='mmaction2 from source'):
            models.DRN()

    def test_workaround_is_still_needed(self):
        """When this fails, the wheel is whole again and the finder can go."""
        folder = Path(find_spec('mmaction').origin).parent / 'models/localizers'
        assert 'drn' in (folder / '__init__.py').read_text()
        assert not (folder / 'drn').exists()

    def test_real_module_comes_first(self, tmp_path):
        """The finder stands last in sys.meta_path: it is asked only for what nobody else finds."""
        folder = tmp_path / 'mmaction/models/localizers/drn'
        folder.mkdir(parents=True)
        for package in (folder, *list(folder.parents)[:3]):
            (package / '__init__.py').touch()
        (folder / 'drn.py').write_text('DRN = "the real one"')
        result = run_python(
            f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
            'import mmvidssl, mmaction.models.localizers.drn.drn as drn\n'
            'print(drn.DRN)\n'
        )
        assert result.stdout == 'the real one\n', result.stderr


class TestFunctionScopes:
    BASE = 'mmvidssl::dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py'

    @pytest.fixture
    def cfg(self, tmp_path):
        path = tmp_path / 'mine.py'
        path.write_text(f'_base_ = {self.BASE!r}\ntest_dataloader = None\n')
        return Config.fromfile(path)

    def test_workaround_is_still_needed(self, cfg):
        """When this fails, mmengine leaves _scope_ away and the function can go."""
        assert cfg.train_dataloader.collate_fn._scope_ == 'mmvidssl'

    def test_functions_are_called_without_scope(self, cfg):
        strip_function_scopes(cfg)
        assert dict(cfg.train_dataloader.collate_fn) == dict(type='mmvidssl.flat_collate')
        assert cfg.train_dataloader.sampler._scope_ == 'mmvidssl'  # classes need theirs

    @pytest.mark.parametrize(
        'base', [BASE, 'mmvidssl::maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py']
    )
    def test_a_batch_is_loaded_in_python_too(self, tmp_path, base):
        """Where nobody has stripped anything: from_cfg builds data loaders so."""
        path = tmp_path / 'mine.py'
        path.write_text(f'_base_ = {base!r}\n')
        loader = Config.fromfile(path).train_dataloader
        loader.update(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False)
        loader.dataset = [dict(inputs=i) for i in range(2)]
        loader.sampler = dict(type='DefaultSampler', shuffle=False)
        assert list(Runner.build_dataloader(loader)) == [dict(inputs=[0, 1])]

    def test_own_functions_stay(self):
        cfg = Config(dict(val_dataloader=dict(collate_fn=dict(type='default_collate'))))
        strip_function_scopes(cfg)
        assert cfg.val_dataloader.collate_fn.type == 'default_collate'


class TestMends:
    def test_what_was_imported_before_us_is_mended_too(self):
        result = run_python(
            'from mmaction.evaluation.functional.ava_evaluation import metrics\n'
            'import mmvidssl\n'
            'from mmvidssl.utils.compat import register_package\n'
            'register_package()\n'
            'function = metrics.compute_average_precision\n'
            'print(function(None, None), hasattr(function.__wrapped__, "__wrapped__"))\n'
        )
        assert result.stdout == 'nan False\n', result.stderr

    def test_average_precision_without_ground_truth(self):
        metrics = import_module('mmaction.evaluation.functional.ava_evaluation.metrics')
        value = metrics.compute_average_precision(None, None)
        assert value != value
        one = np.ones(1)
        assert metrics.compute_average_precision(one, one) == 1
        with pytest.raises(ValueError):
            metrics.compute_average_precision(None, one)

    def test_scores_in_bfloat16(self):
        """In training, and in what mmaction2's metric takes."""
        models = import_module('mmaction.models')
        structures = import_module('mmaction.structures')
        head = models.TSNHead(num_classes=3, in_channels=4, average_clips='prob')
        scores = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]])
        samples = [structures.ActionDataSample().set_gt_label(label) for label in (1, 2)]
        losses = head.loss_by_feat(scores.bfloat16(), samples)
        assert losses['top1_acc'] == 0.5
        torch.testing.assert_close(
            losses['loss_cls'], torch.nn.functional.cross_entropy(scores, torch.tensor([1, 2]))
        )
        head.predict_by_feat(scores.bfloat16(), samples)
        metric = import_module('mmaction.evaluation').AccMetric()
        metric.process(None, [sample.to_dict() for sample in samples])
        assert metric.compute_metrics(metric.results)['top1'] == 0.5

    @pytest.mark.parametrize('memory', ['maps', 'boxes'])
    def test_roi_align_of_permuted_maps(self, memory):
        ops = import_module('mmcv.ops')
        maps = torch.randn(2, 5, 9, 7, generator=torch.Generator().manual_seed(0))
        boxes = torch.tensor([[0, 4, 4, 40, 50], [1, 8, 8, 90, 60]]).float()
        expected = torchvision.ops.roi_align(maps, boxes, (3, 3), 1 / 16, 0, True)
        if memory == 'maps':
            maps = maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        else:
            boxes = boxes.T.contiguous().T
        maps.requires_grad_()
        found = ops.RoIAlign((3, 3), 1 / 16, 0, 'avg', True)(maps, boxes)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        (gradient,) = torch.autograd.grad(found.square().sum(), maps)
        reference = torchvision.ops.roi_align(maps, boxes, (3, 3), 1 / 16, 0, True)
        (wanted,) = torch.autograd.grad(reference.square().sum(), maps)
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)

    def test_numpy_fault_is_still_there(self):
        """When this fails, mmaction2 says np.nan and the mend can go; so for each of the others."""
        folder = Path(find_spec('mmaction').origin).parent
        assert 'np.NAN' in (folder / 'evaluation/functional/ava_evaluation/metrics.py').read_text()
        assert 'cls_scores.detach().cpu().numpy()' in (folder / 'models/heads/base.py').read_text()
