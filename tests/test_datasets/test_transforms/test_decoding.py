import pickle

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmvidssl.datasets import DecodeClip, DecordReader
from tests.utils_video import read_frame_number


def results_of(path, inds=(3, 13)):
    return dict(video_path=str(path), frame_inds=np.array(inds), reader=dict(type='DecordReader'))


def test_decodes_the_frames(video):
    clip = DecodeClip()(results_of(video))['clip']
    assert clip.shape == (2, 64, 96, 3)
    assert [read_frame_number(frame) for frame in clip] == [3, 13]


def test_shrinks(video):
    assert DecodeClip(short_side=32)(results_of(video))['clip'].shape == (2, 32, 48, 3)


def test_opens_a_video_once_for_many_samples(video, short_video, monkeypatch):
    opened = []
    build = DecordReader._build
    monkeypatch.setattr(
        DecordReader, '_build', lambda self: opened.append(self.path) or build(self)
    )
    decode = DecodeClip(max_open=2)
    for path in (video, short_video, video, video, short_video):
        decode(results_of(path))
    assert opened == [str(video), str(short_video)]


@pytest.mark.parametrize('kwargs', [dict(short_side=0), dict(max_open=0), dict(on_reopen='a')])
def test_impossible_settings(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        DecodeClip(**kwargs)


@pytest.fixture
def warnings(monkeypatch):
    """What is logged as a warning."""
    found = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', found.append)
    return found


def test_warns_once_that_a_video_is_opened_again(video, short_video, warnings):
    decode = DecodeClip(max_open=1)
    for path in (video, video, short_video):
        decode(results_of(path))
    assert not warnings
    for path in (video, short_video, video):
        decode(results_of(path))
    (message,) = warnings
    assert str(video) in message and 'max_open=1' in message
    copied = pickle.loads(pickle.dumps(decode))  # as a worker gets it
    copied(results_of(video))
    assert len(warnings) == 1


def test_opening_a_video_again_can_be_an_error_or_nothing(video, short_video, warnings):
    strict = DecodeClip(max_open=1, on_reopen='raise')
    quiet = DecodeClip(max_open=1, on_reopen='ignore')
    for path in (video, short_video):
        strict(results_of(path))
        quiet(results_of(path))
    with pytest.raises(ValueError, match='had to be opened again.*max_open=1'):
        strict(results_of(video))
    assert quiet(results_of(video))['clip'].shape == (2, 64, 96, 3)
    assert not warnings
