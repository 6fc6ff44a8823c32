from tests.utils_tool import run_tool


def test_writes_lists(tmp_path, capsys):
    for name in ('a/1.mp4', 'a/2.mp4', 'b/1.mp4', 'b/2.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert run_tool('datasets/list_videos', tmp_path, tmp_path / 'lists', '--val-share', 0.5) == 0
    printed = capsys.readouterr().out
    assert '2 classes, 2 videos for training and 2 for validation' in printed
    assert (tmp_path / 'lists' / 'classes.txt').read_text() == 'a\nb\n'


def test_says_what_is_wrong(tmp_path, capsys):
    assert run_tool('datasets/list_videos', tmp_path / 'gone', tmp_path) == 2
    assert 'no such folder' in capsys.readouterr().err
