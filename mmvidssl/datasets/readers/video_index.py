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

# Those that keep a time for each frame, and give the same after a seek (MXF gives others). AVI
# numbers its packets, which is no time where frames are stored in another order.
TIMED_CONTAINERS = ('mov,mp4', 'matroska,webm', 'flv', 'mpegts', 'ivf', 'avi')
# Of files that have to be decoded from their start for each clip: some ten seconds at 640x480.
MAX_FRAMES_FROM_START = 10_000
# Of packets of MPEG-4 part 2 that may hold no picture, in bytes: as in FFmpeg's decoder.
MAX_NOT_CODED = 19
# Frames that are decoded of a file whose times may contradict their order.
NUM_CHECKED = 50

# The index of files of fewer bytes (a clip of Kinetics has some 10^5 to 10^6) is built anew each
# time: hundreds of thousands of them should leave no files behind.
BYTES_WORTH_KEEPING = 2**26
FORMAT_VERSION = 4


class VideoIndex(NamedTuple):
    """Times in units of ``time_base``, in the order in which frames are shown.

    Attributes:
        pts: int64 ``(num_frames,)``, increasing.
        key_pts: Of the frames that the file calls keyframes, int64 ``(num_keys,)``, increasing.
        key_dts: Of the same, what the demuxer finds them by.
        time_base: Seconds of a unit.
        fps: Average number of frames per second.
        codec: FFmpeg's name of it.
        container: FFmpeg's names of it, such as ``'mov,mp4,m4a,3gp,3g2,mj2'``.
        has_b_frames: Whether frames are shown in another order than they are stored in.
        told_by: What tells a decoded frame: ``'packet'`` (the time of its packet), ``'time'`` (its
            own; not each packet is one) or ``'count'`` (its place in the decoder's output; times
            are guesses, or others after a seek).
    """

    pts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    time_base: Fraction
    fps: float
    codec: str
    container: str
    has_b_frames: bool
    told_by: str = 'packet'

    @property
    def pitfall(self) -> str:
        """In what kind of file libraries that seek by themselves lose count; '' in others."""
        is_plain = self.told_by == 'packet' and self.container != 'mpegts'
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
    """A file's container, by PyAV, whatever the encoding of its title."""
    # Absolute, since FFmpeg takes what comes before a colon for a protocol.
    return av.open(os.path.abspath(path), metadata_errors='replace')


def build_index(path: str) -> VideoIndex:
    """Read every packet of the first video stream; decode all, once, if they do not tell frames.

    What an edit list hides does not count, nor do samples without a picture: the frame before is
    shown for longer.

    Raises:
        EmptyVideoError: there is no frame.
        UndecodableVideoError: not a video, encrypted, without a video stream, cut off, or long and
            of a kind that has to be decoded from its start.
    """
    try:
        with open_video(path) as container:
            stream = video_stream(container)
            context, kind = stream.codec_context, container.format.name
            if context is None:
                raise UndecodableVideoError(f'{path} is damaged, or of an unknown codec')
            packets = _packets(path, container, stream)
            told_by = _told_by(packets, kind, context)
            codec, has_b_frames = context.name, bool(context.has_b_frames)
            rate, time_base = Fraction(stream.guessed_rate or 1), Fraction(stream.time_base)
            has_guesses = kind == 'avi' or bool(container.format.flags & Flags.no_timestamps.value)
        shown = [p.pts for p in packets if p.is_shown]
        keys = [(p.pts, p.dts) for p in packets if p.is_key and p.pts is not None]
        if told_by == 'packet' and _may_be_misordered(packets, has_b_frames):
            told_by = 'packet' if _is_rising(_decoded_times(path, NUM_CHECKED)) else 'count'
        elif told_by == 'time':
            shown = _decoded_times(path)
            told_by = 'time' if _is_rising(shown) else 'count'
        if told_by == 'count':
            if len(packets) > MAX_FRAMES_FROM_START:
                raise UndecodableVideoError(
                    f'{path} has {len(packets)} frames and no times by which a seek finds them; '
                    'encode it anew: ffmpeg -i FILE OUT.mp4'
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
    # What a file shows before its first keyframe has no beginning.
    pts = pts[pts >= keys[0][0]] if keys else pts
    if not len(pts):
        raise EmptyVideoError(f'the video has no frames: {path}')
    seconds = float((int(pts[-1]) - int(pts[0])) * time_base)
    fps = (len(pts) - 1) / seconds if seconds > 0 else float(rate)
    key_pts, key_dts = np.array(keys, dtype=np.int64).T
    return VideoIndex(pts, key_pts, key_dts, time_base, fps, codec, kind, has_b_frames, told_by)


def _packets(path: str, container: Any, stream: Any) -> list[_Packet]:
    """Of all packets, hidden ones too. An MP4 that lists more than the file holds is refused."""
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
    if 'mp4' in container.format.name and num_read <= num_listed:  # PyAV adds one at the end
        raise UndecodableVideoError(
            f'{path} is cut off: it holds {num_read - 1} of {num_listed} frames; get it again, or '
            'keep what there is: ffmpeg -i FILE -c copy REPAIRED'
        )
    return packets[:-1] if is_cut else packets  # others in TS have the mark of the packet after


def _shows_a_frame(packet: Any, codec: str) -> bool:
    """The ``show_frame`` bit of VP8 (RFC 6386, 9.1) and VP9 (6.2 of its specification).

    A superframe of VP9, which its last byte tells, ends in a frame that is shown.
    """
    if codec not in ('vp8', 'vp9'):
        return True
    first, last = memoryview(packet)[0], memoryview(packet)[-1]
    if codec == 'vp8':
        return bool(first & 0b10000)
    # Of profile 3 there is a bit more before show_existing_frame, frame_type, show_frame.
    first <<= int(first & 0b110000 == 0b110000)
    return last >> 5 == 0b110 or bool(first & 0b1010)


def _told_by(packets: list[_Packet], kind: str, context: Any) -> str:
    """See :class:`VideoIndex`."""
    stored = [packet.dts for packet in packets if packet.dts is not None]
    is_timed = kind.startswith(TIMED_CONTAINERS) and _is_rising(stored, strictly=False)
    if not is_timed or (kind == 'avi' and context.has_b_frames):
        return 'count'
    times = [packet.pts for packet in packets if packet.is_shown]
    is_whole = None not in times and len(set(times)) == len(times)
    if context.name == 'h264':  # a packet may be a field; in TS, that of some frames
        durations = {packet.duration for packet in packets} if kind == 'mpegts' else {0}
        shortest, longest = min(durations, default=0), max(durations, default=0)
        is_whole &= context.field_order <= 1 and longest <= 1.5 * shortest
    elif context.name == 'mpeg4':
        is_whole &= all(packet.size > MAX_NOT_CODED for packet in packets)
    return 'packet' if is_whole else 'time'


def _may_be_misordered(packets: list[_Packet], has_b_frames: bool) -> bool:
    """Whether times may contradict the decoder's order, or are those of the storage.

    Sound files decode the frames at the times at which they are shown, some frames earlier.
    """
    if _is_rising([p.pts for p in packets if p.is_shown]):
        return has_b_frames
    if not has_b_frames or not _is_rising([p.pts for p in packets if p.is_key]):
        return True
    shown, stored = np.array([(p.pts, p.dts) for p in packets], dtype=np.float64).T
    shown = np.sort(shown)
    delay = int((shown > stored[-1]).sum())
    gaps = shown[: len(shown) - delay] - stored[delay:]
    gaps = gaps[np.isfinite(gaps)]  # some tell no times of the first
    return not (len(gaps) and np.ptp(gaps) < np.diff(shown).min())


def _is_rising(times: list, strictly: bool = True) -> bool:
    return None not in times and bool(np.all(np.diff(times) >= strictly))


def _decoded_times(path: str, num_frames: int | None = None) -> list[int | None]:
    """Of all frames, or the first, as the decoder puts them out."""
    with open_video(path) as container:
        stream = video_stream(container)
        frames = decode(stream.codec_context, container.demux(stream))
        return [frame.pts for frame in islice(frames, num_frames)]


def decode(context: Any, packets: Iterable) -> Iterator[Any]:
    """Frames of a stream's packets; those before the first may refer to what was not read."""
    error, has_begun = None, False
    for packet in chain((p for p in packets if p.size), (None,)):  # one without data would end it
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
    """Whether a frame refers to no other; some files call others keyframes, too."""
    return frame.key_frame and frame.pict_type in (PictureType.I, PictureType.NONE)


def load_index(path: str) -> VideoIndex:
    """The index of a video; of a large one it is kept in the user's cache folder.

    The cache (``MMVIDSSL_CACHE``, or ``~/.cache/mmvidssl``) knows a file by path, size and time of
    change; it saves reading the file, and may be deleted.

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
    try:
        return Path(os.environ.get('MMVIDSSL_CACHE') or Path.home() / '.cache/mmvidssl')
    except RuntimeError:  # a container without HOME, for a user that no one knows
        return Path(tempfile.gettempdir()) / f'mmvidssl-{os.getuid()}'


def _read(file: Path) -> VideoIndex | None:
    """None if it is not there, or not whole, which its checksum tells."""
    try:
        values = json.loads(zlib.decompress(file.read_bytes()))
    except (OSError, zlib.error):
        return None
    arrays = {name: np.array(values[name], np.int64) for name in ('pts', 'key_pts', 'key_dts')}
    return VideoIndex(**values | arrays | {'time_base': Fraction(*values['time_base'])})


def _write(file: Path, index: VideoIndex) -> None:
    """Keep an index, where the disk allows."""
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
