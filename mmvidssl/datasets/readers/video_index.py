"""Index of a video: its frames, their times, and the keyframes to decode them from."""

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from mmengine.logging import MMLogger

from mmvidssl.utils.atomic_file import atomic_path

from .errors import EmptyVideoError, UndecodableVideoError, class_of_decoder_error, first_line
from .stream import video_stream

# Some packets of these show no frame: frames have to be counted.
CODECS_TO_COUNT = ('vp8',)
# AVI numbers the packets. Of the codecs that show frames in another order than they are stored in,
# these put guesses in the place of times.
GUESSED_IN_AVI = ('h264', 'hevc')
# In MPEG program streams packets get the times of others when one does not read from the start.
PROGRAM_STREAM = 'mpeg'

# The index of files of fewer bytes (a clip of Kinetics has some 10^5 to 10^6) is built anew each
# time: hundreds of thousands of them should leave no files behind.
BYTES_WORTH_KEEPING = 2**26
FORMAT_VERSION = 3
ARRAYS = ('pts', 'key_pts', 'key_dts')

# Units of H.264, and kinds of frames by the number that a slice begins with (5 to 9: of all of it).
SLICE, IDR_SLICE = 1, 5
SLICE_KINDS = 'PBIPI'


class VideoIndex(NamedTuple):
    """Times in units of ``time_base``, in the order in which frames are shown.

    Attributes:
        pts: int64 ``(num_frames,)``, increasing.
        key_pts: Of the keyframes from which one can decode, int64 ``(num_keys,)``, increasing.
        key_dts: Of the same, what the demuxer finds them by.
        time_base: Seconds of a unit.
        fps: Average number of frames per second.
        codec: FFmpeg's name of it.
        container: FFmpeg's names of it, such as ``'mov,mp4,m4a,3gp,3g2,mj2'``.
        has_b_frames: Whether frames are shown in another order than they are stored in.
        has_false_keys: Whether the file calls frames keyframes that refer to others (periodic
            intra-refresh); ``key_pts`` leaves them out.
    """

    pts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    time_base: Fraction
    fps: float
    codec: str
    container: str
    has_b_frames: bool
    has_false_keys: bool

    @property
    def pitfall(self) -> str:
        """In what kind of file libraries that seek by themselves lose count; '' in others."""
        if self.has_false_keys:
            return 'keyframes that are none (periodic intra-refresh)'
        if self.container in (PROGRAM_STREAM, 'mpegts'):
            return f'{self.codec} in {self.container}'
        return 'B-frames in AVI' if self.container == 'avi' and self.has_b_frames else ''

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which each frame is shown, float64 ``(num_frames,)``."""
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def key_of(self, pts: int) -> int:
        """Number of the keyframe from which a frame can be decoded: the last not after it."""
        return max(0, int(np.searchsorted(self.key_pts, pts, side='right')) - 1)

    def seek_times(self, key: int) -> tuple[int, ...]:
        """What to seek for a keyframe, to be tried in this order.

        Demuxers find keyframes by the time at which they are shown (MP4) or decoded, which is
        earlier. By an earlier time MP4's would go to the keyframe before.
        """
        if self.container == PROGRAM_STREAM:
            return (0,)
        return int(self.key_pts[key]), int(self.key_dts[key])


class _Frame(NamedTuple):
    """A packet or a decoded frame; ``kind`` ('I', 'P', 'B') where it matters."""

    pts: int | None
    dts: int | None
    is_key: bool
    is_shown: bool
    kind: str = ''

    @property
    def is_false_key(self) -> bool:
        return self.is_key and self.kind in ('P', 'B')


def open_video(path: str | os.PathLike) -> Any:
    """A file's container, by PyAV, whatever the encoding of its title."""
    # Absolute, since FFmpeg takes what comes before a colon for a protocol.
    return av.open(os.path.abspath(path), metadata_errors='replace')


def build_index(path: str) -> VideoIndex:
    """Read every packet of the video stream; decode none, but of VP8 and of odd files.

    What an edit list hides does not count.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, without a video stream, or cut off.
    """
    try:
        with open_video(path) as container:
            stream = video_stream(container)
            if stream.codec_context is None:
                raise UndecodableVideoError(
                    f'{path} holds a codec that FFmpeg does not know, or is damaged at its start'
                )
            frames = _packets(path, container, stream)
            codec, rate = stream.codec_context.name, stream.average_rate
            kind, time_base = container.format.name, Fraction(stream.time_base)
            has_b_frames = bool(stream.codec_context.has_b_frames)
        if kind == 'avi' and codec == 'h264':  # seen, where the header may only allow them
            has_b_frames = any(frame.kind == 'B' for frame in frames)
        if kind == 'avi' and codec in GUESSED_IN_AVI and has_b_frames:
            raise _without_times(path, 'AVI cannot say when its B-frames are shown')
        if kind == PROGRAM_STREAM and len({f.pts for f in frames} - {None}) < len(frames):
            raise _without_times(path, 'not all of its frames have times of their own')
        has_false_keys = any(frame.is_false_key for frame in frames)
        if codec in CODECS_TO_COUNT or any(frame.pts is None for frame in frames):
            frames = _decoded_frames(path)
    except (av.FFmpegError, ValueError) as error:
        raise class_of_decoder_error(error, path)(
            f'cannot read {path} (not a video, cut off, or of an unknown kind): {first_line(error)}'
        ) from error
    shown = np.unique(np.array([f.pts for f in frames if f.is_shown], dtype=np.int64))
    keys: list[tuple] = sorted(
        (f.pts, f.pts if f.dts is None else f.dts)
        for f in frames
        if f.is_key and not f.is_false_key
    ) or [(pts, pts) for pts in shown[:1].tolist()]
    # What a file shows before its first keyframe has no beginning.
    pts = shown[shown >= keys[0][0]] if keys else shown
    if not len(pts):
        raise EmptyVideoError(f'the video has no frames: {path}')
    seconds = float((int(pts[-1]) - int(pts[0])) * time_base)
    fps = (len(pts) - 1) / seconds if seconds > 0 else float(rate or 1)
    if kind == PROGRAM_STREAM:
        keys = keys[:1]
    key_pts, key_dts = np.array(keys, dtype=np.int64).T
    return VideoIndex(
        pts, key_pts, key_dts, time_base, fps, codec, kind, has_b_frames, has_false_keys
    )


def _packets(path: str, container: Any, stream: Any) -> list[_Frame]:
    """Of all packets, hidden ones too. An MP4 that lists more than the file holds is refused."""
    context, is_avi = stream.codec_context, container.format.name == 'avi'
    is_h264, extradata = context.name == 'h264', context.extradata
    frames = []
    for packet in container.demux(stream):
        if packet.size and not packet.is_corrupt:
            is_key = packet.is_keyframe
            kind = slice_kind(bytes(packet), extradata) if is_h264 and (is_key or is_avi) else ''
            frames.append(_Frame(packet.pts, packet.dts, is_key, not packet.is_discard, kind))
    is_mp4 = 'mp4' in container.format.name
    num_listed = (len(stream.index_entries) or stream.frames) if is_mp4 else 0
    if len(frames) < num_listed:
        raise UndecodableVideoError(
            f'{path} is cut off: it holds {len(frames)} of {num_listed} frames; get it again, or '
            'keep what there is: ffmpeg -i FILE -c copy REPAIRED'
        )
    return frames


def _decoded_frames(path: str) -> list[_Frame]:
    """The same by decoding everything."""
    with open_video(path) as container:
        decoded = container.decode(video_stream(container))
        frames = [_Frame(f.pts, f.dts, f.key_frame, True) for f in decoded]
    if any(frame.pts is None for frame in frames):
        raise _without_times(path, 'its frames have no times')
    return frames


def _without_times(path: str, why: str) -> UndecodableVideoError:
    return UndecodableVideoError(
        f'cannot tell when each frame of {path} is shown ({why}); encode it anew, which gives them '
        'times: ffmpeg -i FILE OUT.mp4'
    )


def slice_kind(packet: bytes, extradata: bytes | None) -> str:
    """'I', 'P' or 'B', of the first slice of a frame of H.264; '' where there is none.

    Args:
        packet: The frame.
        extradata: The stream's, which says how units are told apart.
    """
    for unit in _units(packet, extradata):
        if unit[0] & 31 == IDR_SLICE:
            return 'I'
        if unit[0] & 31 == SLICE:
            return SLICE_KINDS[_second_number(unit[1:]) % len(SLICE_KINDS)]
    return ''


def _units(packet: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """The first bytes of each unit, not empty."""
    if extradata and extradata[0] == 1:  # as in MP4, a length before each
        width, place = extradata[4] % 4 + 1, 0
        while place + width < len(packet):
            size = int.from_bytes(packet[place : place + width], 'big')
            place += width
            yield packet[place : place + 16]
            place += size
    else:
        yield from (unit[:16] for unit in packet.split(b'\0\0\1')[1:] if unit)


def _second_number(data: bytes) -> int:
    """The second of the numbers in Exp-Golomb code that ``data`` begins with."""
    bits, number = f'{int.from_bytes(data, "big"):0{8 * len(data)}b}', 0
    for _ in range(2):
        num_zeros = len(bits) - len(bits.lstrip('0'))
        number = int(bits[num_zeros : 2 * num_zeros + 1] or '1', 2) - 1
        bits = bits[2 * num_zeros + 1 :]
    return number


def load_index(path: str) -> VideoIndex:
    """The index of a video; of a large one it is kept in the user's cache folder.

    Building it reads the file once: about 1.5 s for an hour of 60 frames a second in memory, and
    as long as the disk takes where it is not. The cache (``MMVIDSSL_CACHE``, or
    ``~/.cache/mmvidssl``) knows a file by path, size and time of change; it is a shortcut, and may
    be deleted.

    Raises:
        EmptyVideoError, UndecodableVideoError: see :func:`build_index`.
    """
    if os.stat(path).st_size < BYTES_WORTH_KEEPING:
        return build_index(path)
    kept = cache_file(path)
    index = _read(kept)
    if index is None:
        index = build_index(path)
        _write(kept, index)
    return index


def cache_file(path: str) -> Path:
    """Where the index of a video is kept, as it is now."""
    file = Path(path).resolve()
    stat = file.stat()
    identity = f'{FORMAT_VERSION}\n{file}\n{stat.st_size}\n{stat.st_mtime_ns}'
    name = f'{hashlib.sha256(identity.encode()).hexdigest()[:32]}.index'
    return _cache_folder() / 'video_index' / name


def _cache_folder() -> Path:
    named = os.environ.get('MMVIDSSL_CACHE')
    if named:
        return Path(named)
    try:
        return Path.home() / '.cache/mmvidssl'
    except RuntimeError:  # a container without HOME, for a user that no one knows
        return Path(tempfile.gettempdir()) / f'mmvidssl-{os.getuid()}'


def _read(file: Path) -> VideoIndex | None:
    """None if it is not there, or not whole, which its checksum tells."""
    try:
        header, _, data = zlib.decompress(file.read_bytes()).partition(b'\n')
    except (OSError, zlib.error):
        return None
    values = json.loads(header)
    values['time_base'] = Fraction(*values['time_base'])
    arrays = np.split(np.frombuffer(data, np.int64), values.pop('splits'))
    values.update(zip(ARRAYS, arrays, strict=True))
    return VideoIndex(**values)


def _write(file: Path, index: VideoIndex) -> None:
    """Keep an index, where the disk allows."""
    values = index._asdict()
    arrays = [values.pop(name) for name in ARRAYS]
    values['time_base'] = index.time_base.as_integer_ratio()
    values['splits'] = np.cumsum([len(array) for array in arrays[:-1]]).tolist()
    data = json.dumps(values).encode() + b'\n' + np.concatenate(arrays).tobytes()
    try:
        with atomic_path(file) as partial:
            partial.write_bytes(zlib.compress(data, 1))
    except OSError as error:
        MMLogger.get_current_instance().warning(
            f'the index of a video cannot be kept in {file.parent} ({error.strerror or error}), so '
            'every process reads the whole video when it opens it; name a folder that can be '
            'written to in the environment variable MMVIDSSL_CACHE'
        )
