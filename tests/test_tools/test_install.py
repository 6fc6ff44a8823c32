"""What ``tools/install.sh`` does before it touches the network, and without one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The files that the script reads, in a folder of their own."""
    folder = tmp_path / 'checkout'
    shutil.copytree(ROOT / 'requirements', folder / 'requirements')
    (folder / 'tools').mkdir()
    shutil.copy(ROOT / 'tools/install.sh', folder / 'tools')
    shutil.copy(ROOT / 'setup.py', folder)
    return folder


def install(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {key: os.environ[key] for key in ('PATH', 'HOME') if key in os.environ}
    return subprocess.run(
        ['bash', str(checkout / 'tools/install.sh'), *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_python(path: Path, version: str, exit_code: int) -> Path:
    """An interpreter that gives ``version`` and answers every question with ``exit_code``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" && exit\nexit {exit_code}\n'
    )
    path.chmod(0o755)
    return path


def test_where_names_the_active_environment_or_the_own_one(checkout):
    assert install(checkout, '--where').stdout == f'{checkout}/.venv\n'
    assert install(checkout, '--where', CONDA_PREFIX='/conda').stdout == '/conda\n'
    both = install(checkout, '--where', CONDA_PREFIX='/conda', VIRTUAL_ENV='/venv')
    assert both.stdout == '/venv\n'


def test_refuses_an_unsupported_python(checkout, tmp_path):
    python = write_python(tmp_path / 'python', '3.10.0', exit_code=1)
    result = install(checkout, PYTHON=str(python))
    assert result.returncode == 1
    assert f'{python} is Python 3.10.0' in result.stderr
    assert not (checkout / '.venv').exists()


def test_names_a_missing_interpreter(checkout):
    result = install(checkout, PYTHON='no-such-python')
    assert result.returncode == 1
    assert 'no-such-python is not there' in result.stderr


def test_refuses_an_active_environment_with_an_unsupported_python(checkout, tmp_path):
    write_python(tmp_path / 'env/bin/python', '3.9.1', exit_code=1)
    result = install(checkout, VIRTUAL_ENV=str(tmp_path / 'env'))
    assert result.returncode == 1
    assert f'{tmp_path}/env has Python 3.9.1' in result.stderr


def test_refuses_an_active_environment_that_is_gone(checkout, tmp_path):
    result = install(checkout, VIRTUAL_ENV=str(tmp_path / 'gone'))
    assert result.returncode == 1
    assert f'{tmp_path}/gone has no bin/python' in result.stderr


def test_names_what_an_environment_without_pip_lacks(checkout, tmp_path):
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'env'], check=True)
    result = install(checkout, VIRTUAL_ENV=str(tmp_path / 'env'))
    assert result.returncode == 1
    assert f'{tmp_path}/env/bin/python -m ensurepip' in result.stderr


def test_a_half_finished_environment_is_made_anew_and_what_fails_is_named(checkout):
    """No network, and a home that cannot be written to."""
    python = checkout / '.venv/bin/python'
    write_python(python, '3.11.2', exit_code=1)
    nothing = dict(PIP_NO_INDEX='1', PIP_CONFIG_FILE='/dev/null', HOME='/proc/no-home')
    result = install(checkout, PYTHON=sys.executable, **nothing)
    assert result.returncode == 1
    assert "'pinned requirements' failed" in result.stderr.splitlines()[-1]
    subprocess.run([python, '-m', 'pip', '--version'], check=True, capture_output=True)
    assert not (checkout / '.venv/.mmvidssl-installed').exists()


def test_refuses_an_unknown_argument(checkout):
    result = install(checkout, '--upgrade')
    assert result.returncode == 1
    assert "unknown argument '--upgrade'" in result.stderr


def test_second_run_ends_at_once_until_a_pin_changes(checkout, tmp_path):
    environment = tmp_path / 'env'
    write_python(environment / 'bin/python', '3.11.2', exit_code=1)
    # As the script leaves it, by its own definition of the fingerprint.
    script = (checkout / 'tools/install.sh').read_text()
    definitions = script[: script.index('unset PYTHONPATH')]
    (checkout / 'tools/write_stamp.sh').write_text(definitions + 'fingerprint >"$stamp"\n')
    subprocess.run(
        ['bash', str(checkout / 'tools/write_stamp.sh')],
        env={'PATH': os.environ['PATH'], 'HOME': str(tmp_path), 'VIRTUAL_ENV': str(environment)},
        check=True,
    )
    second = install(checkout, VIRTUAL_ENV=str(environment))
    assert (second.returncode, second.stdout) == (0, f'==> up to date: {environment}\n')

    with (checkout / 'requirements/runtime.txt').open('a') as file:
        file.write('one-more==1.0\n')
    third = install(checkout, VIRTUAL_ENV=str(environment))
    assert third.returncode == 1
    assert f'{environment} has Python 3.11.2' in third.stderr
