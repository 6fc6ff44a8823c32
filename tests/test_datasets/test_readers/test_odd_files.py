"""Files whose packets are not their frames, or whose times are guesses."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mmvidssl.datasets.readers import PyAVReader, UndecodableVideoError, probe_video, video_index
from tests.utils_video import read_frame_number, write_field_coded, write_video

TENTH, TWENTY_FIFTH = Fraction(1, 10), Fraction(1, 25)
VOP = b'\0\0\1\xb6'
# A P-VOP at 0 of 16 ticks a second or less, whose bit vop_coded is not set.
NOT_CODED = VOP + b'\x50\x80'


def numbers(frames):
    return [read_frame_number(frame) for frame in frames]


def check(path: Path, expected: list[int]) -> PyAVReader:
    """Every frame, one by one, in clips, and in one go."""
    reader = PyAVReader(str(path))
    assert reader.num_frames == len(expected)
    every = np.arange(len(expected))
    assert numbers(reader.get_frames(every)) == expected
    order = np.random.default_rng(0).permutation(every)[:20]
    assert [numbers(reader.get_frames(order[[k]])) for k in range(len(order))] == [
        [expected[k]] for k in order
    ]
    for step in (2, 4):
        clips = [every[start::step][:8] for start in (len(every) // 2, 1)]
        assert [numbers(reader.get_frames(c)) for c in clips] == [
            [expected[k] for k in c] for c in clips
        ]
    return reader


def remux(source: Path, path: Path, change: Callable) -> Path:
    """Packets, given to ``change`` as (data, is_key), at one a tenth of a second."""
    with av.open(str(source)) as container, av.open(str(path), 'w') as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
        for number, (data, is_key) in enumerate(change(packets)):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.is_keyframe, packet.stream = TENTH, is_key, stream
            out.mux(packet)
    return path


def packed(packets: list[tuple[bytes, bool]]) -> list[tuple[bytes, bool]]:
    """As Xvid and DivX put B-frames into AVI: the first with the frame it refers to, which the
    decoder gives out later, and a placeholder after the last."""
    mark = (b'Lavc', b'DivX503b1393p\0\0\1\xb2Lavc')
    packets = [(data.replace(*mark, 1), is_key) for data, is_key in packets]
    out, is_open = [], False
    for data, is_key in packets:
        is_b = data[data.index(VOP) + 4] >> 6 == 2
        if is_b and not is_open:
            out[-1] = out[-1][0] + data, out[-1][1]
        elif is_open and not is_b:
            out += [(NOT_CODED, False), (data, is_key)]
        else:
            out.append((data, is_key))
        is_open = is_b
    return out + [(NOT_CODED, False)] * is_open


def test_packed_b_frames(tmp_path):
    source = write_video(tmp_path / 'v.avi', codec='mpeg4', num_b_frames=2, time_base=TENTH)
    for name in ('packed.avi', 'packed.mp4', 'packed.mkv'):
        reader = check(remux(source, tmp_path / name, packed), list(range(30)))
        assert reader.fps == pytest.approx(10)


@pytest.mark.parametrize('suffix', ['avi', 'm4v', 'mp4'])
def test_b_frames_stored_with_the_times_of_their_storage(suffix, tmp_path):
    source = write_video(tmp_path / 'v.avi', codec='mpeg4', num_b_frames=2, time_base=TENTH)
    reader = check(remux(source, tmp_path / f'w.{suffix}', list), list(range(30)))
    assert reader.index.keyed_by == 'count'


@pytest.mark.parametrize('suffix', ['avi', 'h264', 'mp4'])
def test_h264_without_times(suffix, tmp_path):
    options = {'x264-params': 'bframes=3:b-adapt=0'}
    source = write_video(tmp_path / 'v.h264', options=options)
    reader = check(remux(source, tmp_path / f'w.{suffix}', list), list(range(30)))
    np.testing.assert_allclose(reader.timestamps, np.arange(30) / reader.fps)


@pytest.mark.parametrize('codec, suffix', [('mpeg1video', 'm1v'), ('mpeg2video', 'm2v')])
def test_first_frames_of_raw_streams(codec, suffix, tmp_path):
    options = dict(codec=codec, num_b_frames=2, fps=25, time_base=TWENTY_FIFTH)
    reader = check(write_video(tmp_path / f'v.{suffix}', **options), list(range(30)))
    np.testing.assert_allclose(reader.timestamps, np.arange(30) / 25)


@pytest.mark.parametrize('suffix', ['ts', 'mkv'])
def test_a_frame_is_a_frame_and_not_a_field(suffix, tmp_path):
    path = write_field_coded(tmp_path / f'v.{suffix}', 20, gop=6)
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 40
    reader = check(path, list(range(20)))
    assert reader.fps == pytest.approx(10, rel=1e-3)
    assert reader.index.keyed_by == 'time'


def test_joined_transport_streams_are_read_in_order(tmp_path, monkeypatch):
    pieces = [write_video(tmp_path / f'{n}.ts', n, time_base=TENTH) for n in (20, 30)]
    joined = tmp_path / 'joined.ts'
    joined.write_bytes(b''.join(piece.read_bytes() for piece in pieces))
    reader = check(joined, [*range(20), *range(30)])
    np.testing.assert_allclose(reader.timestamps, np.arange(50) / 10)
    monkeypatch.setattr(video_index, 'MAX_FRAMES_FROM_START', 40)
    with pytest.raises(UndecodableVideoError, match=r'joined\.ts'):
        _ = PyAVReader(str(joined)).num_frames


@pytest.mark.parametrize('suffix', ['avi', 'mp4'])
def test_pictures_that_are_not_coded_show_nothing(suffix, tmp_path):
    def drop(packets):
        return [p if k % 5 != 3 else (NOT_CODED, False) for k, p in enumerate(packets)]

    source = write_video(tmp_path / 'v.mp4', 20, codec='mpeg4', gop=1, time_base=TENTH)
    shown = [number for number in range(20) if number % 5 != 3]
    reader = check(remux(source, tmp_path / f'w.{suffix}', drop), shown)
    np.testing.assert_allclose(reader.timestamps, np.array(shown) / 10)


def test_a_sample_without_data_shows_nothing(tmp_path):
    """A camera that had none: the frame before is shown for longer, and nothing is cut off."""
    path = write_video(tmp_path / 'v.mp4', 20, codec='mjpeg', pix_fmt='yuvj420p')
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    table = np.array(sizes, '>u4').tobytes()
    sizes[6], sizes[7] = sizes[6] + sizes[7], 0  # what follows the end of an image is left out
    data = path.read_bytes()
    assert data.count(table) == 1
    path.write_bytes(data.replace(table, np.array(sizes, '>u4').tobytes()))
    shown = [number for number in range(20) if number != 7]
    reader = check(path, shown)
    np.testing.assert_allclose(reader.timestamps, np.array(shown) / 10)


def test_avi_holds_the_frame_before_where_it_has_none(tmp_path):
    times = [0, 0.1, 0.4, 0.5, 0.9]
    options = dict(codec='mjpeg', pix_fmt='yuvj420p', time_base=TENTH, timestamps=times)
    reader = check(write_video(tmp_path / 'v.avi', **options), list(range(5)))
    np.testing.assert_allclose(reader.timestamps, times)


def hide_vp8(packets):
    """Every fifth frame."""
    data = [data for data, _ in packets]
    data[2::5] = [bytes([one[0] & ~16]) + one[1:] for one in data[2::5]]
    return [(one, is_key) for one, (_, is_key) in zip(data, packets, strict=True)]


def hide_vp9(packets):
    """A frame that the next packet shows, and one that is in a packet with a shown one."""
    data = [data for data, _ in packets]
    for number in (7, 13):
        data[number] = bytes([data[number][0] & ~2]) + data[number][1:]
    data[8] = bytes([0b10001000])
    sizes = np.array([len(one) for one in data[13:15]], '<u4').tobytes()
    data[13:15] = [data[13] + data[14] + b'\xd9' + sizes + b'\xd9']
    return [(one, True) for one in data]


@pytest.mark.parametrize(
    'codec, gop, hide, hidden, suffix, num_packets',
    [
        ('libvpx', 10, hide_vp8, (2, 7, 12, 17, 22, 27), 'mkv', 30),
        ('libvpx-vp9', 1, hide_vp9, (8, 13), 'mkv', 28),  # puts the other one into one packet, too
        ('libvpx-vp9', 1, hide_vp9, (8, 13), 'flv', 29),
    ],
)
def test_hidden_frames_are_told_without_decoding(
    codec, gop, hide, hidden, suffix, num_packets, tmp_path
):
    source = write_video(tmp_path / 'v.webm', codec=codec, gop=gop)
    path = remux(source, tmp_path / f'w.{suffix}', hide)
    with av.open(str(path)) as container:
        assert sum(p.size > 0 for p in container.demux(video=0)) == num_packets
    shown = [number for number in range(30) if number not in hidden]
    assert check(path, shown).index.keyed_by == 'packet'


def test_frames_that_a_file_falsely_calls_keyframes(tmp_path):
    source = write_video(tmp_path / 'v.mp4', codec='mpeg4', num_b_frames=0, time_base=TENTH)
    path = remux(source, tmp_path / 'w.mp4', lambda packets: [(d, True) for d, _ in packets])
    assert len(check(path, list(range(30))).index.key_pts) == 30


def retime(source: Path, path: Path, change: Callable, options: dict | None = None) -> Path:
    """The packets of a video, with other times (decoded, shown), in twentieths of a second."""
    with av.open(str(source)) as container, av.open(str(path), 'w', options=options) as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        unit = int(TENTH / 2 / packets[0].time_base)
        for packet in packets:
            times = change(packet.dts // unit, packet.pts // unit)
            packet.stream, (packet.dts, packet.pts) = stream, (time * unit for time in times)
            out.mux(packet)
    return path


@pytest.mark.parametrize(
    'change, gop',
    [
        (lambda dts, pts: (dts, 15 if pts == 12 else pts), 30),
        (lambda dts, pts: (dts - 2, {12: 14, 14: 12}.get(pts, pts)), 1),
    ],
)
def test_times_that_contradict_the_order_of_frames(change, gop, tmp_path):
    """Frames are numbered as they come out, as by the ffmpeg command line."""
    options = {'x264-params': 'bframes=2:b-adapt=0:scenecut=0'}
    source = write_video(tmp_path / 'v.mp4', gop=gop, options=options, time_base=TENTH)
    path = retime(source, tmp_path / 'w.mp4', change)
    with av.open(str(path)) as container:
        assert np.diff([frame.pts for frame in container.decode(video=0)]).min() < 0
    assert check(path, list(range(30))).index.keyed_by == 'count'


def test_ordinary_files_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(video_index, '_decoded_times', None)
    options = {'x264-params': 'bframes=3:b-pyramid=normal'}
    for suffix in ('mp4', 'mkv', 'ts', 'flv'):
        path = write_video(tmp_path / f'v.{suffix}', options=options, time_base=TENTH)
        assert PyAVReader(str(path)).num_frames == 30


def test_encrypted_files_are_refused(tmp_path):
    scheme = dict(
        encryption_scheme='cenc-aes-ctr', encryption_key='0' * 32, encryption_kid='1' * 32
    )
    source = write_video(tmp_path / 'v.mp4', 10, time_base=TENTH)
    path = retime(source, tmp_path / 'w.mp4', lambda *times: times, scheme)
    with pytest.raises(UndecodableVideoError, match=r'w\.mp4 is encrypted'):
        _ = PyAVReader(str(path)).num_frames


def test_what_refers_to_a_damaged_frame_is_refused(tmp_path):
    """Up to the next keyframe. The 11th, a keyframe, lacks a part, which the container tells."""
    path = write_video(
        tmp_path / 'v.ts', 30, gop=10, options={'x264-params': 'bframes=0:scenecut=0'}
    )
    data = path.read_bytes()
    parts = [data[start : start + 188] for start in range(0, len(data), 188)]
    video = [k for k, part in enumerate(parts) if part[1] & 0x1F == 1 and part[2] == 0]
    begins = [k for k in video if parts[k][1] & 0x40]
    del parts[begins[10] + 2]
    path.write_bytes(b''.join(parts))
    reader = PyAVReader(str(path))
    assert reader.num_frames == 30
    for number in range(30):
        if number in range(10, 20):
            with pytest.raises(UndecodableVideoError, match=r'v\.ts.* damaged'):
                reader.get_frames(np.array([number]))
        else:
            assert numbers(reader.get_frames(np.array([number]))) == [number]


def test_a_packet_that_cannot_be_decoded_keeps_its_number(tmp_path):
    def damage(packets):
        return [(b'\xff' * 9 if k == 13 else data, is_key) for k, (data, is_key) in packets]

    source = write_video(
        tmp_path / 'v.mp4', 30, gop=10, options={'x264-params': 'bframes=0:scenecut=0'}
    )
    path = remux(source, tmp_path / 'w.mp4', lambda packets: damage(enumerate(packets)))
    reader = PyAVReader(str(path))
    assert reader.num_frames == 30
    for number in range(30):
        if number in range(13, 20):
            with pytest.raises(UndecodableVideoError, match=r'w\.mp4'):
                reader.get_frames(np.array([number]))
        else:
            assert numbers(reader.get_frames(np.array([number]))) == [number]


def test_clips_within_one_resolution_are_read(tmp_path):
    """Only one across the change is refused."""
    sizes = ((64, 96), (80, 96))
    path, shift = tmp_path / 'both.ts', 0
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, 'yuv420p'
        for height, width in sizes:
            piece = write_video(
                tmp_path / f'{height}.ts', 12, size=(height, width), gop=5, time_base=TENTH
            )
            with av.open(str(piece)) as container:
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        out.mux(packet)
            shift += 12 * 9000
    reader = PyAVReader(str(path))
    for clip in (np.arange(8), np.arange(12, 20), np.arange(4, 12), np.arange(14, 24, 3)):
        frames = reader.get_frames(clip)
        assert numbers(frames) == (clip % 12).tolist()
        assert frames.shape[1:3] == sizes[int(clip[0] >= 12)]
    with pytest.raises(UndecodableVideoError, match=r'both\.ts'):
        reader.get_frames(np.arange(8, 16))
    assert numbers(reader.get_frames(np.array([13]))) == [1]
    info = probe_video(str(path), dict(type='PyAVReader'))
    assert len(info.timestamps) == 24 and info.short_side == 64
