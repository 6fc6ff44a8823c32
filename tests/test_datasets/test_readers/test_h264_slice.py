from fractions import Fraction

import av
import pytest
from av.video.frame import PictureType

from mmvidssl.datasets.readers.h264_slice import slice_kind
from tests.utils_video import write_video


def kinds_said(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [slice_kind(bytes(packet), extradata) for packet in packets]


@pytest.mark.parametrize('suffix', ['mp4', 'ts'])  # lengths before the units, and start codes
@pytest.mark.parametrize('options', ['bframes=3', 'intra-refresh=1', 'open-gop=1:slices=3'])
def test_kinds_are_those_that_the_decoder_sees(suffix, options, tmp_path):
    path = write_video(
        tmp_path / f'v.{suffix}', options={'x264-params': options}, time_base=Fraction(1, 10)
    )
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    seen = [(frame.pts, PictureType(frame.pict_type).name) for frame in frames]
    with av.open(str(path)) as container:
        order = [packet.pts for packet in container.demux(video=0) if packet.size]
    said = dict(zip(order, kinds_said(path), strict=True))
    assert [(pts, said[pts]) for pts, _ in seen] == seen
    assert {'P', 'B'} <= set(said.values())


def test_without_a_slice_there_is_no_kind():
    assert slice_kind(b'', None) == slice_kind(b'\0\0\1\x09\x10\0\0\1', None) == ''
    assert slice_kind(b'\0\0\0\x09\x06', bytes([1, 0, 0, 0, 3])) == ''
