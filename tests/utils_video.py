"""Small videos whose frames tell their own number."""

import os
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from mmvidssl.datasets.readers import DecordReader, PyAVReader, TorchCodecReader

NUM_BITS = 10
TIME_BASE = Fraction(1, 1000)


def write_video(
    path: str | Path,
    num_frames: int = 30,
    size: tuple[int, int] = (64, 96),
    fps: int = 10,
    timestamps: Sequence[float] | None = None,
    gop: int = 12,
    codec: str = 'libx264',
    options: dict[str, str] | None = None,
    pix_fmt: str = 'yuv420p',
    time_base: Fraction = TIME_BASE,
    num_b_frames: int | None = None,
    matrix: Sequence[float] | None = None,
    shift: float = 0,
    draw: Callable[[int, tuple[int, int]], np.ndarray] | None = None,
) -> Path:
    """Write a video of colourful noise with :func:`read_frame_number`'s bar on top.

    Args:
        path: Where; the suffix chooses the container.
        num_frames: Number of frames, below 1024.
        size: (height, width), at least (32, 80); most encoders want even numbers.
        fps: Frames per second.
        timestamps: Seconds of each frame, for a variable frame rate; overrides the others.
        gop: Frames from one keyframe to the next, B-frames in between.
        codec: Name of FFmpeg's encoder.
        options: Of the encoder.
        pix_fmt: FFmpeg's name of the pixel format.
        time_base: Seconds of a unit of time, for encoders that take few.
        num_b_frames: The most between others; the encoder's default if None.
        matrix: Players show the pixel x to the right and y down, of ``(a, b, c, d)``, at
            a x + c y and b x + d y: ``(0, -1, 1, 0)`` turns counterclockwise.
        shift: Seconds put on all times; what comes before 0 is hidden by an edit list (MP4).
        draw: Other pictures, of the frame's number and size.
    """
    times = [i / fps for i in range(num_frames)] if timestamps is None else timestamps
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.gop_size = gop
        stream.codec_context.time_base = time_base
        if num_b_frames is not None:
            stream.codec_context.max_b_frames = num_b_frames
        if matrix:
            a, b, c, d = (round(65536 * number) for number in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 2**30])
        for number, time in enumerate(times):
            pixels = (draw or draw_frame)(number, size)
            frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
            frame.pts, frame.time_base = round((time + shift) / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    leave_real_time()
    return Path(path)


def leave_real_time() -> None:
    """SVT-AV1, run by root, puts the thread that calls it above all others of the machine."""
    if hasattr(os, 'sched_setscheduler') and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def draw_frame(number: int, size: tuple[int, int]) -> np.ndarray:
    """Frame ``number``, uint8 RGB ``(H, W, 3)``: 8 x 8 blocks, the top row its binary number."""
    height, width = size
    rng = np.random.default_rng(number)
    cells = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    bits = (number >> np.arange(NUM_BITS)) & 1
    cells[0, :NUM_BITS] = (255 * bits)[:, None]
    return cells.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def read_frame_number(frame: np.ndarray) -> int:
    """The number :func:`draw_frame` wrote into a frame, after decoding."""
    bits = frame[4, 4 : 8 * NUM_BITS : 8].mean(axis=-1) > 127
    return int((bits << np.arange(NUM_BITS)).sum())


def torchcodec_works() -> bool:
    """Whether torchcodec is installed and finds FFmpeg, which some releases load when used."""
    try:
        from torchcodec.decoders import VideoDecoder

        VideoDecoder(b'no video')
    except ImportError:
        return False
    except (RuntimeError, ValueError) as error:
        return 'libtorchcodec' not in str(error)
    return True


READERS = [
    PyAVReader,
    DecordReader,
    pytest.param(
        TorchCodecReader,
        marks=pytest.mark.skipif(
            not torchcodec_works(),
            reason='optional: needs pip install torchcodec and FFmpeg (apt install ffmpeg)',
        ),
    ),
]


def write_streams(path: str | Path, names: Sequence[str]) -> Path:
    """Write an MP4 with several streams, each 'cover' or 'video' (30 frames, GOP 12, 10 fps).

    Frames of the second video are numbered from 100 on; it is the larger, and the default. MP4
    keeps covers apart, where FFmpeg finds them first.
    """
    with av.open(str(path), 'w') as container:
        streams, videos = [], []
        for name in names:
            if name == 'cover':
                stream = container.add_mux_stream('mjpeg', rate=1, width=96, height=64)
                stream.disposition = Disposition.attached_pic
            else:
                stream = container.add_stream('libx264', rate=10)
                stream.width, stream.height = 96 * (len(videos) + 1), 64 * (len(videos) + 1)
                stream.pix_fmt, stream.gop_size = 'yuv420p', 12
                stream.disposition = Disposition.default if videos else Disposition(0)
                videos.append(stream)
            streams.append(stream)
        for name, stream in zip(names, streams, strict=True):
            if name == 'cover':
                packet = av.Packet(cv2.imencode('.jpg', draw_frame(1000, (64, 96)))[1].tobytes())
                packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
                container.mux(packet)
        for number in range(30):
            for first, stream in zip((0, 100), videos, strict=False):
                pixels = draw_frame(first + number, (stream.height, stream.width))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        for stream in videos:
            container.mux(stream.encode())
    file = Path(path)
    data = file.read_bytes()
    moov = data.index(b'moov') - 4  # the last
    boxes = _boxes(data[moov + 8 :])
    boxes.sort(key=lambda box: box[4:8] != b'udta')
    file.write_bytes(data[: moov + 8] + b''.join(boxes))
    return file


def _boxes(data: bytes) -> list[bytes]:
    boxes = []
    while data:
        size = int.from_bytes(data[:4], 'big')
        boxes.append(data[:size])
        data = data[size:]
    return boxes


def write_field_coded(path: str | Path, num_frames: int, gop: int) -> Path:
    """Write H.264 whose pictures are fields (PAFF), one a packet, at 10 frames of 64 x 96 a second.

    No encoder of FFmpeg writes it. Blocks are stored as they are (I_PCM), of 7.3.2 to 7.3.5 of the
    standard no more than that takes.
    """
    height, width = 64, 96
    raw = Path(f'{path}.h264')
    sps = (
        *('01001101', '0' * 8, '00011110', _ue(0)),  # profile, its constraints, level, number
        *(_ue(0), _ue(0), _ue(4)),  # 4 bits of frame_num, order by 8 bits
        *(_ue(1), '0', _ue(width // 16 - 1), _ue(height // 32 - 1)),  # references, gaps, size
        *('0', '0', '1', '0', '1'),  # not frames alone, nor by macroblock; no cropping; VUI
        *('0000', '1', f'{1:032b}', f'{20:032b}', '1', '0000'),  # of it fields per second alone
    )
    pps = (_ue(0), _ue(0), '00', _ue(0), _ue(0), _ue(0), '000', _ue(0) * 3, '100')
    fields = []
    for number in range(num_frames):
        frame = av.VideoFrame.from_ndarray(draw_frame(number, (height, width)), format='rgb24')
        planes = [
            np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
            for plane in frame.reformat(format='yuv420p').planes
        ]
        for parity in range(2):
            place, is_first = number % gop, number % gop == parity == 0
            header = ''.join(
                (
                    *(_ue(0), _ue(7), _ue(0), f'{place % 16:04b}', '1', str(parity)),
                    *(_ue(number // gop % 2) * is_first, f'{2 * place + parity:08b}'),
                    *('00' if is_first else '0', _ue(0), _ue(1)),
                )
            )
            parts = [
                plane[parity::2].reshape(height // 32, size, width // 16, size).swapaxes(1, 2)
                for plane, size in zip(planes, (16, 8, 8), strict=True)
            ]
            blocks = np.concatenate(
                [part.reshape(-1, part.shape[2] ** 2) for part in parts], axis=1
            )
            data = _unit(0x65 if is_first else 0x61, header, blocks)
            fields.append((_unit(0x67, sps) + _unit(0x68, pps)) * is_first + data)
    raw.write_bytes(b''.join(fields))
    with av.open(str(raw)) as source, av.open(str(path), 'w') as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, data in enumerate(fields):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 20), stream
            packet.is_keyframe = data[4] == 0x67
            out.mux(packet)
    return Path(path)


def _ue(number: int) -> str:
    """Exp-Golomb code."""
    bits = f'{number + 1:b}'
    return '0' * (len(bits) - 1) + bits


def _unit(kind: int, header: Sequence[str], blocks: np.ndarray | None = None) -> bytes:
    """A unit of H.264: bits, then macroblocks of samples, none of which may be 0."""
    bits, data = ''.join(header), b''
    for block in () if blocks is None else blocks:
        bits += _ue(25)
        bits += '0' * (-len(bits) % 8)
        data += int(bits, 2).to_bytes(len(bits) // 8, 'big') + block.tobytes()
        bits = ''
    bits += '1'
    bits += '0' * (-len(bits) % 8)
    data += int(bits, 2).to_bytes(len(bits) // 8, 'big')
    return b'\0\0\0\1' + bytes([kind]) + re.sub(rb'\0\0(?=[\0-\3])', b'\0\0\3', data)
