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
from .video_index import open_video

# Codecs whose decoders leave out frames that no other refers to, and stay right.
SKIPPING_CODECS = ('h264', 'hevc', 'mpeg4', 'mpeg2video')
# Keyframes before the nearest that are tried where a frame does not come out: after a seek an open
# GOP loses the frames that refer to the one before it.
NUM_EARLIER_KEYS = 2


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
            for frame in self._run(decoder, pts[num_done:]):
                num_done += 1
                yield to_rgb(frame, decoder, short_side)

    def _run(self, decoder: OpenVideo, left: list[int]) -> Iterator[Any]:
        """Frames with the times ``left``, as far as going on is quicker than seeking again."""
        nearest = self.index.key_of(left[0])
        for key in range(nearest, max(nearest - NUM_EARLIER_KEYS, 0) - 1, -1):
            frames = self._decode_from(decoder, key, set(left))
            frame = next((frame for frame in frames if frame.pts >= left[0]), None)
            if frame is not None and frame.pts == left[0]:
                break
        else:
            raise self._lost(left[0], 'the decoder leaves it out')
        yield self._checked(frame)
        for position, pts in enumerate(left[1:], start=1):
            if self.index.key_of(pts) > self.index.key_of(left[position - 1]):
                return
            frame = next((frame for frame in frames if frame.pts >= pts), None)
            if frame is None or frame.pts != pts:
                return
            yield self._checked(frame)

    def _decode_from(self, decoder: OpenVideo, key: int, wanted: set[int]) -> Iterator[Any]:
        """Decode on from a keyframe; frames that are not wanted may be left out."""
        context = decoder.stream.codec_context
        can_skip = context.name in SKIPPING_CODECS
        for packet in self._packets_from(decoder, key):
            is_wanted = packet.pts is None or packet.pts in wanted
            context.skip_frame = 'DEFAULT' if is_wanted or not can_skip else 'NONREF'
            yield from packet.decode()

    def _packets_from(self, decoder: OpenVideo, key: int) -> Iterator[Any]:
        """Packets from a keyframe on, or from one before it."""
        packets: Iterator[Any] = iter(())
        for offset in self.index.seek_times(key):
            decoder.container.seek(offset, stream=decoder.stream, backward=True)
            packets = decoder.container.demux(decoder.stream)
            first = next(packets, None)
            if first is not None:
                packets = chain((first,), packets)
            if first is None or first.pts is None or first.pts <= self.index.key_pts[key]:
                break
        yield from packets

    def _checked(self, frame: Any) -> Any:
        if frame.is_corrupt:
            raise self._lost(frame.pts, 'its data are damaged')
        return frame

    def _lost(self, pts: int, why: str) -> UndecodableVideoError:
        return UndecodableVideoError(
            f'cannot decode the frame at {float(pts * self.index.time_base):.3f} s of {self.path}: '
            f'{why}; get the file again, or encode it anew'
        )


def to_rgb(frame: Any, decoder: OpenVideo, short_side: int | None) -> np.ndarray:
    """A decoded frame as uint8 RGB ``(H, W, 3)``, upright, shrunk by averaging.

    FFmpeg could shrink while it converts, at 4K in half of 20 ms, but by other averages than the
    other readers, and with colours of half the width.
    """
    rgb = decoder.reformatter.reformat(frame, format='rgb24', threads=1).to_ndarray()
    pixels = shrink_frame(rgb, short_side)
    return turn_of(frame, decoder.container.name).apply(pixels)
