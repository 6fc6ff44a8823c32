def test_writes_lists(tool, tmp_path):
    for name in ('a/1.mp4', 'a/2.mp4', 'b/1.mp4', 'b/2.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    code, out, _ = tool('datasets/list_videos', tmp_path, tmp_path / 'lists', '--val-share', 0.5)
    assert code == 0 and '2 classes, 2 videos for training and 2 for validation' in out
    assert (tmp_path / 'lists' / 'classes.txt').read_text() == 'a\nb\n'


def test_says_what_is_wrong(tool, tmp_path):
    code, _, error = tool('datasets/list_videos', tmp_path / 'gone', tmp_path)
    assert code == 2 and 'no such folder' in error
