import numpy as np
import pytest

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


@pytest.mark.parametrize('kwargs', [dict(short_side=0), dict(max_open=0)])
def test_impossible_settings(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        DecodeClip(**kwargs)
