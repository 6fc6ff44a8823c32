"""Reading with PyAV: for long videos."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mmvidssl.registry import VIDEO_READERS

from .base import IndexedReader, shrink_frame
from .errors import UndecodableVideoError
from .stream import turn_of, video_stream
from .video_index import decode, is_keyframe, open_video

# Codecs whose decoders leave out frames that no other refers to, and stay right.
SKIPPING_CODECS = ('h264', 'hevc', 'mpeg4', 'mpeg2video')


class OpenVideo(NamedTuple):
    """A container, its video stream, and what converts colours.

    A converter of each frame's own, PyAV's default, would cost a context each time.
    """

    container: Any
    stream: Any
    reformatter: VideoReformatter


@VIDEO_READERS.register_module()
class PyAVReader(IndexedReader):
    """Frame-accurate reading that decodes no more than it has to.

    Goes to the keyframe before a wanted frame and on from there; of frames that are not wanted only
    those are decoded that others refer to. Colours are converted by the file's own matrix, frames
    turned upright. A decoder holds a few frames: 0.1 GB at 4K.
    What was read of the file's structure is kept, see :func:`load_index`.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.
    """

    errors = (av.FFmpegError,)

    def close(self) -> None:
        """Free the file, the decoder and the index."""
        if self._decoder is not None:
            self._decoder.container.close()
        super().close()

    def _build(self) -> OpenVideo:
        container = open_video(self.path)
        stream = video_stream(container)
        stream.thread_type = 'NONE' if self.num_threads == 1 else 'AUTO'
        stream.codec_context.thread_count = self.num_threads
        return OpenVideo(container, stream, VideoReformatter())

    def _decode(
        self, decoder: OpenVideo, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        pts, num_done = self.index.pts[wanted].tolist(), 0
        while num_done < len(pts):
            for frame in self._run(pts[num_done:]):
                num_done += 1
                yield to_rgb(frame, decoder, short_side)

    def _run(self, left: list[int]) -> Iterator[Any]:
        """Frames with the times ``left``, as far as going on is quicker than seeking again."""
        keys = [self.index.key_of(pts) for pts in left]
        key, frames = self._land(keys[0], set(left))
        is_damaged = False
        for position, pts in enumerate(left):
            # A seek may have to go as far back again.
            if position and keys[position] - keys[position - 1] > keys[0] - key:
                return
            found: int | None = None
            for found, frame in frames:
                # Those that refer to a damaged frame are damaged too, and not marked.
                is_damaged = frame.is_corrupt or (is_damaged and not is_keyframe(frame))
                if found >= pts:
                    break
            if found != pts and position:
                return
            if found != pts or is_damaged:
                raise UndecodableVideoError(
                    f'cannot decode the frame at {float(pts * self.index.time_base):.3f} s of '
                    f'{self.path}: its data are damaged; get the file again, or encode it anew'
                )
            yield frame

    def _land(self, nearest: int, wanted: set[int]) -> tuple[int, Iterator[tuple[int, Any]]]:
        """Number of a keyframe, the nearest if a seek finds it, and what follows it.

        Each step back is twice as long as the one before, the last goes to the file's start.
        """
        key, step = nearest, 1
        while key >= 0 and self.index.told_by != 'count':
            for time in self.index.key_pts[key], self.index.key_dts[key]:
                frames = self._decode_from(key, int(time), wanted)
                for first in frames:
                    return key, chain((first,), frames)
            key, step = key - step, 2 * step
        self._open().container.close()
        self._decoder = None
        decoder = self._open()
        decoded = decode(decoder.stream.codec_context, self._packets(decoder, wanted))
        if self.index.told_by == 'count':
            return 0, zip(self.index.pts.tolist(), decoded, strict=False)
        return 0, ((frame.pts, frame) for frame in decoded if frame.pts is not None)

    def _decode_from(self, key: int, time: int, wanted: set[int]) -> Iterator[tuple[int, Any]]:
        """Times and frames from a keyframe on, or one before; none if seeking ``time`` misses it.

        Demuxers find keyframes by the time at which they are shown (MP4) or decoded, which is
        earlier. By an earlier time MP4's would go to the keyframe before.
        """
        decoder, start = self._open(), int(self.index.key_pts[key])
        decoder.container.seek(time, stream=decoder.stream, backward=True)
        packets, has_begun = self._packets(decoder, wanted), False
        first = next(packets, None)
        if first is None or (first.pts or 0) > start:  # as decoding would tell, a GOP later
            return
        for frame in decode(decoder.stream.codec_context, chain((first,), packets)):
            if not has_begun and (frame.pts is None or frame.pts > start):
                return
            has_begun = has_begun or is_keyframe(frame)
            if has_begun and frame.pts is not None:
                yield frame.pts, frame

    def _packets(self, decoder: OpenVideo, wanted: set[int]) -> Iterator[Any]:
        """Packets from where the file is; of frames that are not wanted some may be left out."""
        context = decoder.stream.codec_context
        can_skip = self.index.told_by == 'packet' and context.name in SKIPPING_CODECS
        for packet in decoder.container.demux(decoder.stream):
            is_wanted = packet.pts is None or packet.pts in wanted
            context.skip_frame = 'DEFAULT' if is_wanted or not can_skip else 'NONREF'
            yield packet


def to_rgb(frame: Any, decoder: OpenVideo, short_side: int | None) -> np.ndarray:
    """A decoded frame as uint8 RGB ``(H, W, 3)``, upright, shrunk by averaging.

    FFmpeg could shrink while it converts, at 4K in half of 20 ms, but by other averages than the
    other readers, and with colours of half the width.
    """
    rgb = decoder.reformatter.reformat(frame, format='rgb24', threads=1).to_ndarray()
    pixels = shrink_frame(rgb, short_side)
    return turn_of(frame, decoder.container.name).apply(pixels)
