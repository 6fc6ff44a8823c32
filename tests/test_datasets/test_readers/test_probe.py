import av
import cv2
import numpy as np
import pytest

from mmvidssl.datasets.readers import UndecodableVideoError, probe_video
from tests.utils_video import TIME_BASE, write_video

READER = dict(type='PyAVReader')


def test_tells_times_rate_and_duration(short_video):
    info = probe_video(str(short_video), READER)
    assert info.path == str(short_video)
    assert info.fps == pytest.approx(10)
    assert info.duration == pytest.approx(4)
    np.testing.assert_allclose(info.timestamps, np.arange(40) / 10, atol=1e-6)


def test_frames_may_change_their_size_on_the_way(tmp_path):
    """The rest of such a video can be read; the smaller side is that of the smaller frame."""
    with av.open(str(tmp_path / 'v.mkv'), 'w') as container:
        stream = container.add_mux_stream('mjpeg', rate=10, width=96, height=64)
        for number, side in enumerate([64, 64, 48]):
            data = cv2.imencode('.jpg', np.zeros((side, 96, 3), np.uint8))[1].tobytes()
            packet = av.Packet(data)
            packet.stream, packet.is_keyframe = stream, True
            packet.pts = packet.dts = number * 100
            packet.time_base = TIME_BASE
            container.mux(packet)
    info = probe_video(str(tmp_path / 'v.mkv'), READER)
    assert (info.short_side, len(info.timestamps)) == (48, 3)


def test_finds_damage_at_the_end(tmp_path):
    path = write_video(tmp_path / 'v.mp4', num_frames=40, gop=10, size=(128, 160))
    data = bytearray(path.read_bytes())
    start, stop = data.index(b'mdat'), data.index(b'moov')
    data[start + 8 + (stop - start) // 2 : stop - 8] = bytes(
        stop - start - 16 - (stop - start) // 2
    )
    (tmp_path / 'damaged.mp4').write_bytes(data)
    with pytest.raises(UndecodableVideoError, match=r'damaged\.mp4'):
        probe_video(str(tmp_path / 'damaged.mp4'), READER)


def test_closes_the_reader_even_after_an_error(monkeypatch, short_video):
    from mmvidssl.datasets.readers import PyAVReader

    closed = []
    monkeypatch.setattr(PyAVReader, 'close', lambda self: closed.append(self.path))
    probe_video(str(short_video), READER)
    monkeypatch.setattr(PyAVReader, 'get_frames', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        probe_video(str(short_video), READER)
    assert closed == [str(short_video)] * 2
