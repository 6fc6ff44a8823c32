"""What users get wrong with the quickstart."""

import pytest


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--speed', '9'], 'arguments: --speed'),
        (['--minutes', 'five'], "'five'"),
        (['--config', 'mine.py'], '--method'),
        (['--davis', 'DAVIS', '--method', 'maskfeat'], '--method dora'),
        (['--video', 'none.mp4'], 'no such video: none.mp4'),
    ],
)
def test_misuse_gets_one_clear_sentence_and_exit_code_2(shell, tmp_path, args, message):
    video = [] if '--video' in args else ['--video', 'some.mp4']
    result = shell('python', 'tools/quickstart.py', *args, *video, '--work-dir', tmp_path / 'work')
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stderr
