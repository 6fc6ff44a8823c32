"""Files appear whole or not at all."""

import pytest

from mmvidssl.utils.atomic_file import atomic_path


def test_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / 'a' / 'file.png'
    with atomic_path(target) as temporary:
        temporary.write_text('new')
        assert temporary.suffix == '.png' and not target.exists()
    assert [p.read_text() for p in target.parent.iterdir()] == ['new']


def test_an_error_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / 'file.txt'
    target.write_text('old')
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert [p.read_text() for p in tmp_path.iterdir()] == ['old']
