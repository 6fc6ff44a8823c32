import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / 'tools' / 'datasets' / 'list_videos.py'


def test_writes_lists(shell, tmp_path):
    for name in ('a/1.mp4', 'a/2.mp4', 'b/1.mp4', 'b/2.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    done = shell('python', SCRIPT, tmp_path, tmp_path / 'lists', '--val-share', '0.5')
    assert done.returncode == 0, done.stderr
    assert '2 classes, 2 videos for training and 2 for validation' in done.stdout
    assert (tmp_path / 'lists' / 'classes.txt').read_text() == 'a\nb\n'


def test_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('list_videos', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', ['list_videos', str(tmp_path / 'gone'), str(tmp_path)])
    assert module.main() == 2
    assert 'no such folder' in capsys.readouterr().err
