"""Index of a video: its frames, their times, and the keyframes to decode them from."""

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.format import Flags
from av.video.frame import PictureType
from mmengine.logging import MMLogger

from mmvidssl.utils.atomic_file import atomic_path

from .errors import EmptyVideoError, UndecodableVideoError, class_of_decoder_error, first_line
from .stream import video_stream

# Containers with a time for each frame, the same after a seek (MXF's are not). AVI numbers its
# packets, which gives no times where frames are not stored in the order in which they are shown.
TIMED_CONTAINERS = ('mov,mp4', 'matroska,webm', 'flv', 'mpegts', 'ivf', 'avi')
# Most frames of a file that is decoded from its start for each clip: some 10 s at 640x480.
MAX_FRAMES_FROM_START = 10_000
# Bytes up to which a packet of MPEG-4 part 2 may hold no picture, as in FFmpeg's decoder.
MAX_NOT_CODED = 19
# Frames decoded to check a file whose times may contradict the order of its frames.
NUM_CHECKED = 50

# Smaller files (clips of Kinetics have some 10^5 to 10^6 bytes) are indexed anew each time, so
# that hundreds of thousands of them leave no files in the cache.
BYTES_WORTH_KEEPING = 2**26
FORMAT_VERSION = 5


class VideoIndex(NamedTuple):
    """Frames and keyframes of a video, in the order in which they are shown.

    Attributes:
        pts: Presentation times in units of ``time_base``, int64 ``(num_frames,)``, increasing.
        key_pts: Those of the frames that the file marks as keyframes, int64 ``(num_keys,)``.
        key_dts: Decoding times of these, by which some demuxers seek.
        time_base: Seconds of a unit.
        fps: Average number of frames per second.
        codec: FFmpeg's name of the codec.
        container: FFmpeg's names of the container, such as ``'mov,mp4,m4a,3gp,3g2,mj2'``.
        has_b_frames: Whether frames are shown in another order than they are stored in.
        keyed_by: What identifies a decoded frame: ``'packet'`` (the time of its packet), ``'time'``
            (its own; some packets are no frame) or ``'count'`` (its place in the decoder's output;
            times are guesses, or differ after a seek).
    """

    pts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    time_base: Fraction
    fps: float
    codec: str
    container: str
    has_b_frames: bool
    keyed_by: str = 'packet'

    @property
    def pitfall(self) -> str:
        """Kind of file in which other libraries miscount frames after a seek; '' if none."""
        is_plain = self.keyed_by == 'packet' and self.container != 'mpegts'
        return '' if is_plain else f'{self.codec} in {self.container}'

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which each frame is shown, float64 ``(num_frames,)``."""
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def key_of(self, pts: int) -> int:
        """Number of the keyframe from which a frame can be decoded: the last not after it."""
        return max(0, int(np.searchsorted(self.key_pts, pts, side='right')) - 1)


class _Packet(NamedTuple):
    pts: int | None
    dts: int | None
    duration: int
    size: int
    is_key: bool
    is_shown: bool


def open_video(path: str | os.PathLike) -> Any:
    """Open a file with PyAV; metadata in an unknown encoding do not fail."""
    # Absolute, since FFmpeg would take what is before a colon for a protocol.
    return av.open(os.path.abspath(path), metadata_errors='replace')


def build_index(path: str) -> VideoIndex:
    """Build the index from the packets of the first video stream, or from decoding it once.

    Frames that an edit list hides do not count, nor do packets without a picture: the frame before
    is shown for longer.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, encrypted, without a video stream, cut off, or long and
            of a kind that must be decoded from its start.
    """
    try:
        with open_video(path) as container:
            stream = video_stream(container)
            context, kind = stream.codec_context, container.format.name
            if context is None:
                raise UndecodableVideoError(f'{path} is damaged, or of an unknown codec')
            packets = _packets(path, container, stream)
            keyed_by = _keyed_by(packets, kind, context)
            codec, has_b_frames = context.name, bool(context.has_b_frames)
            rate, time_base = Fraction(stream.guessed_rate or 1), Fraction(stream.time_base)
            has_guesses = kind == 'avi' or bool(container.format.flags & Flags.no_timestamps.value)
        shown = [p.pts for p in packets if p.is_shown]
        keys = [(p.pts, p.dts) for p in packets if p.is_key and p.pts is not None]
        if keyed_by == 'packet' and _may_be_misordered(packets, has_b_frames):
            keyed_by = 'packet' if _is_rising(_decoded_times(path, NUM_CHECKED)) else 'count'
        elif keyed_by == 'time':
            shown = _decoded_times(path)
            keyed_by = 'time' if _is_rising(shown) else 'count'
        if keyed_by == 'count':
            if len(packets) > MAX_FRAMES_FROM_START:
                raise UndecodableVideoError(
                    f'{path} has {len(packets)} frames, whose timestamps do not allow seeking; '
                    're-encode it: ffmpeg -i FILE OUT.mp4'
                )
            shown, keys = _decoded_times(path), []
            if has_guesses or not _is_rising(shown):
                shown, time_base = list(range(len(shown))), 1 / rate
    except (av.FFmpegError, ValueError) as error:
        raise class_of_decoder_error(error, path)(
            f'cannot read {path} (not a video, cut off, or of an unknown kind): {first_line(error)}'
        ) from error
    pts = np.unique(np.array(shown, dtype=np.int64))
    keys = sorted((p, p if dts is None else dts) for p, dts in keys) or [(p, p) for p in pts[:1]]
    # Frames before the first keyframe cannot be decoded.
    pts = pts[pts >= keys[0][0]] if keys else pts
    if not len(pts):
        raise EmptyVideoError(f'the video has no frames: {path}')
    seconds = float((int(pts[-1]) - int(pts[0])) * time_base)
    fps = (len(pts) - 1) / seconds if seconds > 0 else float(rate)
    key_pts, key_dts = np.array(keys, dtype=np.int64).T
    return VideoIndex(pts, key_pts, key_dts, time_base, fps, codec, kind, has_b_frames, keyed_by)


def _packets(path: str, container: Any, stream: Any) -> list[_Packet]:
    """Times and sizes of all packets, hidden ones too; refuses an MP4 that is cut off."""
    codec, packets, num_read, is_cut = stream.codec_context.name, [], 0, False
    for p in container.demux(stream):
        if p.has_sidedata('encryption_info'):
            raise UndecodableVideoError(f'{path} is encrypted: decrypt it (ffmpeg -decryption_key)')
        num_read += not p.is_corrupt
        if p.size:
            is_cut = p.is_corrupt
            is_shown = not p.is_discard and _shows_a_frame(p, codec)
            packets.append(_Packet(p.pts, p.dts, p.duration or 0, p.size, p.is_keyframe, is_shown))
    num_listed = len(stream.index_entries) or stream.frames
    if 'mp4' in container.format.name and num_read <= num_listed:  # PyAV adds an empty one
        raise UndecodableVideoError(
            f'{path} is cut off: it holds {num_read - 1} of {num_listed} frames; get it again, or '
            'keep what there is: ffmpeg -i FILE -c copy REPAIRED'
        )
    return packets[:-1] if is_cut else packets  # in TS, other marks are of the packet after


def _shows_a_frame(packet: Any, codec: str) -> bool:
    """Whether ``show_frame`` is set in a packet of VP8 (RFC 6386, 9.1) or VP9 (its spec., 6.2).

    A superframe of VP9, known by its last byte, ends in a frame that is shown.
    """
    if codec not in ('vp8', 'vp9'):
        return True
    first, last = memoryview(packet)[0], memoryview(packet)[-1]
    if codec == 'vp8':
        return bool(first & 0b10000)
    # Profile 3 has one more bit before show_existing_frame, frame_type, show_frame.
    first <<= int(first & 0b110000 == 0b110000)
    return last >> 5 == 0b110 or bool(first & 0b1010)


def _keyed_by(packets: list[_Packet], kind: str, context: Any) -> str:
    """What identifies decoded frames, see :class:`VideoIndex`."""
    stored = [packet.dts for packet in packets if packet.dts is not None]
    is_timed = kind.startswith(TIMED_CONTAINERS) and _is_rising(stored, strictly=False)
    if not is_timed or (kind == 'avi' and context.has_b_frames):
        return 'count'
    times = [packet.pts for packet in packets if packet.is_shown]
    is_whole = None not in times and len(set(times)) == len(times)
    if context.name == 'h264':  # a packet may be a field; in TS, for some frames only
        durations = {packet.duration for packet in packets} if kind == 'mpegts' else {0}
        shortest, longest = min(durations, default=0), max(durations, default=0)
        is_whole &= context.field_order <= 1 and longest <= 1.5 * shortest
    elif context.name == 'mpeg4':
        is_whole &= all(packet.size > MAX_NOT_CODED for packet in packets)
    return 'packet' if is_whole else 'time'


def _may_be_misordered(packets: list[_Packet], has_b_frames: bool) -> bool:
    """Whether presentation times may contradict the decoder's order, or be decoding times.

    In a sound file, frames are shown a constant time after a packet some places later is decoded.
    """
    if _is_rising([p.pts for p in packets if p.is_shown]):
        return has_b_frames
    if not has_b_frames or not _is_rising([p.pts for p in packets if p.is_key]):
        return True
    shown, stored = np.array([(p.pts, p.dts) for p in packets], dtype=np.float64).T
    shown = np.sort(shown)
    delay = int((shown > stored[-1]).sum())
    gaps = shown[: len(shown) - delay] - stored[delay:]
    gaps = gaps[np.isfinite(gaps)]  # some files give none for the first
    return not (len(gaps) and np.ptp(gaps) < np.diff(shown).min())


def _is_rising(times: list, strictly: bool = True) -> bool:
    return None not in times and bool(np.all(np.diff(times) >= strictly))


def _decoded_times(path: str, num_frames: int | None = None) -> list[int | None]:
    """Times of all frames, or the first ``num_frames``, in the order of the decoder's output."""
    with open_video(path) as container:
        stream = video_stream(container)
        frames = decode(stream.codec_context, container.demux(stream))
        return [frame.pts for frame in islice(frames, num_frames)]


def decode(context: Any, packets: Iterable) -> Iterator[Any]:
    """Frames of packets; errors before the first, whose references may be unread, are ignored."""
    error, has_begun = None, False
    for packet in chain((p for p in packets if p.size), (None,)):  # an empty one would end it
        try:
            for frame in context.decode(packet):
                has_begun = True
                yield frame
        except av.FFmpegError as caught:
            error = caught
            if has_begun:
                raise
    if error and not has_begun:
        raise error


def is_keyframe(frame: Any) -> bool:
    """Whether a frame refers to no other; some files mark further frames as keyframes."""
    return frame.key_frame and frame.pict_type in (PictureType.I, PictureType.NONE)


def load_index(path: str) -> VideoIndex:
    """The index of a video, which for large files is cached on disk.

    The cache (``MMVIDSSL_CACHE``, or ``~/.cache/mmvidssl``) identifies files by path, size and time
    of change; it saves reading the whole file, and may be deleted.

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
    """Path of the cached index of a video in its present state."""
    file = Path(path).resolve()
    stat = file.stat()
    identity = f'{FORMAT_VERSION}\n{file}\n{stat.st_size}\n{stat.st_mtime_ns}'
    name = f'{hashlib.sha256(identity.encode()).hexdigest()[:32]}.index'
    return _cache_folder() / 'video_index' / name


def _cache_folder() -> Path:
    try:
        return Path(os.environ.get('MMVIDSSL_CACHE') or Path.home() / '.cache/mmvidssl')
    except RuntimeError:  # a container without HOME, and an unknown user
        return Path(tempfile.gettempdir()) / f'mmvidssl-{os.getuid()}'


def _read(file: Path) -> VideoIndex | None:
    """Read a cached index; None if it is missing or damaged, by zlib's checksum."""
    try:
        values = json.loads(zlib.decompress(file.read_bytes()))
    except (OSError, zlib.error):
        return None
    arrays = {name: np.array(values[name], np.int64) for name in ('pts', 'key_pts', 'key_dts')}
    return VideoIndex(**values | arrays | {'time_base': Fraction(*values['time_base'])})


def _write(file: Path, index: VideoIndex) -> None:
    """Cache an index; where that fails, warn."""
    values = index._asdict() | {'time_base': index.time_base.as_integer_ratio()}
    data = json.dumps(values, default=np.ndarray.tolist).encode()
    try:
        with atomic_path(file) as partial:
            partial.write_bytes(zlib.compress(data, 1))
    except OSError as error:
        MMLogger.get_current_instance().warning(
            f'cannot write {file.parent} ({error.strerror or error}), so every process reads a '
            'whole video when it opens it; name another folder in the environment: MMVIDSSL_CACHE'
        )
