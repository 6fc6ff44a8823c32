"""``import mmvidssl`` is silent and pulls in none of the big packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ('mmaction', 'mmcv', 'mmdet', 'mmpretrain', 'mmseg', 'pkg_resources', 'torchvision')
REGISTRIES = (
    *('DATASETS', 'DATA_SAMPLERS', 'TRANSFORMS', 'VIDEO_READERS', 'MODELS', 'HOOKS'),
    *('OPTIM_WRAPPERS', 'OPTIM_WRAPPER_CONSTRUCTORS', 'PARAM_SCHEDULERS', 'METRICS', 'VISUALIZERS'),
)


def run_python(code: str, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *options, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_import_is_silent_and_loads_no_heavy_package():
    code = 'import json, sys, mmvidssl, mmvidssl.registry; print(json.dumps(list(sys.modules)))'
    result = run_python(code, '-W', 'error')
    assert (result.returncode, result.stderr) == (0, '')
    loaded = {name.split('.')[0] for name in json.loads(result.stdout)}
    assert 'mmengine' in loaded
    assert not loaded.intersection(HEAVY)


def test_pillars_wait_until_something_is_built():
    code = (
        'import sys, mmvidssl, mmvidssl.registry as registry\n'
        'from mmengine.registry import DefaultScope\n'
        'early = [name for name in sys.modules if name.startswith("mmvidssl.models")]\n'
        'assert early == [], early\n'
        'assert registry.MODELS.get("DoRA").__module__.startswith("mmvidssl.models")\n'
        'mmvidssl.utils.register_all_modules(init_default_scope=False)\n'
        'assert "mmvidssl.visualization" in sys.modules\n'
        'assert DefaultScope.get_current_instance() is None\n'
        'mmvidssl.utils.register_all_modules()\n'
        'assert DefaultScope.get_current_instance().scope_name == "mmvidssl"\n'
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_registries_are_children_of_mmengine_in_our_scope():
    from mmvidssl import registry

    for name in REGISTRIES:
        assert getattr(registry, name).scope == 'mmvidssl', name
        if name != 'VIDEO_READERS':
            assert getattr(registry, name).parent.scope == 'mmengine', name
