"""Every frame of many kinds of files, alone and in clips, equals decoding from the start."""

from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from mmvidssl.datasets.readers import PyAVReader, VideoError
from tests.utils_video import leave_real_time

GOPS, B_FRAMES = (4, 12, 300), (0, 2)
# Those that MPEG-1 and MXF know.
RATES = (Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60))
STEPS, CLIP_LENGTH = (1, 2, 4), 8
TIME_TOLERANCE = 1e-3  # Matroska, FLV and RealMedia count milliseconds


class Encoder(NamedTuple):
    """An encoder, the suffixes of the files it goes into, and what it takes."""

    suffixes: str
    gops: tuple[int, ...] = GOPS
    b_frames: tuple[int, ...] = (0,)
    rates: tuple[Fraction, ...] = RATES
    size: tuple[int, int] = (64, 96)
    pix_fmt: str = 'yuv420p'
    options: tuple[dict[str, str], ...] = ({},)


X264 = ({'preset': 'fast'}, {'x264-params': 'open-gop=1'}, {'preset': 'ultrafast'})
X265 = tuple({'x265-params': f'log-level=0:pools=none:open-gop={i}'} for i in (0, 1))
VPX = tuple({'lag-in-frames': f'{10 * i}', 'auto-alt-ref': f'{i}', 'cpu-used': '8'} for i in (0, 1))
ENCODERS = {
    'libx264': Encoder(
        'mp4 mov mkv avi ts m2ts flv 3gp mxf nut h264', b_frames=B_FRAMES, options=X264
    ),
    'libx265': Encoder('mp4 mkv ts hevc', gops=(5, 300), b_frames=B_FRAMES, options=X265),
    'mpeg4': Encoder('mp4 mov mkv avi ts 3gp nut m4v', b_frames=B_FRAMES),
    'mpeg2video': Encoder('mp4 mkv avi ts mpg vob mxf m2v', b_frames=B_FRAMES),
    'mpeg1video': Encoder('mp4 mkv avi ts mpg m1v', b_frames=B_FRAMES),
    'libvpx': Encoder('webm mkv avi ivf ogv', options=VPX),
    'libvpx-vp9': Encoder('webm mkv mp4 ivf', options=VPX),
    'libsvtav1': Encoder('mp4 mkv ivf', gops=(12,), options=({'preset': '12'},)),
    'msmpeg4v2': Encoder('avi wmv'),
    'msmpeg4': Encoder('avi wmv'),
    'wmv1': Encoder('avi wmv'),
    'wmv2': Encoder('avi wmv asf'),
    'flv': Encoder('flv avi'),
    'h263': Encoder('avi 3gp mov', size=(96, 128), rates=RATES[2:3]),
    'h263p': Encoder('avi'),
    'rv10': Encoder('rm', size=(96, 128)),
    'rv20': Encoder('rm', size=(96, 128)),
    'svq1': Encoder('mov', pix_fmt='yuv410p'),
    'snow': Encoder('avi nut', gops=(12,), options=({'strict': 'experimental'},)),
    'cinepak': Encoder('avi mov', gops=(12,), pix_fmt='rgb24'),
    'mjpeg': Encoder('avi mov mkv mp4', gops=(1,), pix_fmt='yuvj420p'),
    'ffv1': Encoder('avi mkv nut', gops=(1, 12)),
    'prores_ks': Encoder('mov mkv', gops=(1,), pix_fmt='yuv422p10le'),
    'huffyuv': Encoder('avi nut', gops=(1,), pix_fmt='yuv422p'),
    'png': Encoder('mov avi', gops=(1,), pix_fmt='rgb24'),
    'rawvideo': Encoder('avi mkv nut', gops=(1,)),
    'qtrle': Encoder('mov', gops=(12,), pix_fmt='rgb24'),
}
KINDS = [(name, suffix) for name, kind in ENCODERS.items() for suffix in kind.suffixes.split()]


class Combination(NamedTuple):
    """What is drawn for a file."""

    gop: int
    num_b_frames: int
    rate: Fraction
    num_frames: int
    options: dict[str, str]


def combinations(name: str, suffix: str) -> list[Combination]:
    """All GOPs and numbers of B-frames of a kind, with a rate, a length and options at random."""
    kind, rng = ENCODERS[name], np.random.default_rng([*f'{name}.{suffix}'.encode()])
    return [
        Combination(
            *(gop, num_b_frames, kind.rates[rng.integers(len(kind.rates))]),
            *(int(rng.integers(20, 36)), kind.options[rng.integers(len(kind.options))]),
        )
        for gop, num_b_frames in product(kind.gops, kind.b_frames)
    ]


def encode(path: Path, name: str, chosen: Combination) -> None:
    """Write a wall that moves by some pixels a frame."""
    kind = ENCODERS[name]
    height, width = kind.size
    rng = np.random.default_rng(0)
    wall = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    wall = wall.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(name, rate=chosen.rate, options=chosen.options)
        stream.height, stream.width, stream.pix_fmt = height, width, kind.pix_fmt
        stream.gop_size, stream.codec_context.thread_count = chosen.gop, 1
        stream.codec_context.max_b_frames = chosen.num_b_frames
        for number in range(chosen.num_frames):
            picture = np.roll(wall, (number, 3 * number), axis=(0, 1))
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = number, 1 / chosen.rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    leave_real_time()


def check(path: Path, chosen: Combination) -> None:
    """Frames and times are those of decoding from the start, and of what was encoded."""
    with av.open(str(path)) as container:
        expected = np.stack([f.to_ndarray(format='rgb24') for f in container.decode(video=0)])
    assert len({frame.tobytes() for frame in expected}) == chosen.num_frames
    reader = PyAVReader(str(path))
    assert reader.num_frames == chosen.num_frames
    times = np.arange(chosen.num_frames) / float(chosen.rate)
    np.testing.assert_allclose(reader.timestamps - reader.timestamps[0], times, atol=TIME_TOLERANCE)
    assert reader.fps == pytest.approx(float(chosen.rate), rel=2 * TIME_TOLERANCE)
    rng = np.random.default_rng(chosen.num_frames)
    asked = [np.array([number]) for number in rng.permutation(chosen.num_frames)]
    for step in STEPS:
        last = max(1, chosen.num_frames - step * (CLIP_LENGTH - 1))
        for start in rng.permutation(last)[:8]:
            clip = start + step * np.arange(CLIP_LENGTH)
            asked.append(clip[clip < chosen.num_frames])
    for clip in asked:
        given = reader.get_frames(clip)
        assert (given == expected[clip]).all(), f'frames {clip.tolist()}'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('sweep')


@pytest.mark.parametrize('name, suffix', KINDS)
def test_every_frame_of_every_kind(name, suffix, folder):
    for number, chosen in enumerate(combinations(name, suffix)):
        path = folder / f'{name}{number}.{suffix}'
        encode(path, name, chosen)
        try:
            check(path, chosen)
        except (AssertionError, VideoError) as error:
            raise AssertionError(f'{path.name}: {chosen}') from error


def test_the_sweep_is_wide():
    assert sum(len(combinations(*kind)) for kind in KINDS) >= 150
