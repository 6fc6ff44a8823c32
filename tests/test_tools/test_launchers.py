"""The shell scripts that start several processes.

For real they do so in tests/test_engine/test_loops: test_two_processes.py and
test_resumable_test_loop.py.
"""

import os

import pytest

SCRIPTS = ['dist_train', 'dist_test', 'slurm_train', 'slurm_test']


@pytest.mark.parametrize('name', SCRIPTS)
def test_usage(shell, name):
    result = shell('bash', f'tools/{name}.sh')
    assert result.returncode == 2
    assert f'usage: bash tools/{name}.sh' in result.stderr


@pytest.fixture
def fake(tmp_path):
    """A folder of programs that print their arguments, one a line."""

    def make(name):
        program = tmp_path / 'bin' / name
        program.parent.mkdir(exist_ok=True)
        program.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
        program.chmod(0o755)
        return f'{program.parent}{os.pathsep}{os.environ["PATH"]}'

    return make


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_arguments_pass_through_the_dist_scripts(shell, fake, tool):
    arguments = ['a config.py', 'x.pth', 4] if tool == 'test' else ['a config.py', 4]
    script = f'tools/dist_{tool}.sh'
    path = fake('python')
    result = shell('bash', script, *arguments, '--work-dir', 'two words', PATH=path, NNODES='3')
    lines = result.stdout.splitlines()
    assert '--nproc_per_node=4' in lines and '--nnodes=3' in lines
    tail = [str(a) for a in arguments[:-1]] + ['--launcher', 'pytorch', '--work-dir', 'two words']
    index = next(i for i, line in enumerate(lines) if line.endswith(f'/tools/{tool}.py'))
    assert lines[index + 1 :] == tail


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_arguments_pass_through_the_slurm_scripts(shell, fake, tool):
    arguments = ['part', 'job', 'a config.py', 'x.pth' if tool == 'test' else 'work dir']
    path = fake('srun')
    script = f'tools/slurm_{tool}.sh'
    result = shell(
        'bash',
        script,
        *arguments,
        '--cfg-options',
        'a=1',
        PATH=path,
        GPUS='16',
        SRUN_ARGS='--x --y',
    )
    lines = result.stdout.splitlines()
    assert result.returncode == 0
    assert {'--job-name=job', '--ntasks=16', '--ntasks-per-node=8', '--x', '--y'} <= set(lines)
    index = next(i for i, line in enumerate(lines) if line.endswith(f'/tools/{tool}.py'))
    extra = ['x.pth'] if tool == 'test' else ['--work-dir', 'work dir']
    assert lines[index + 1 :] == [
        'a config.py',
        *extra,
        '--launcher',
        'slurm',
        '--cfg-options',
        'a=1',
    ]
