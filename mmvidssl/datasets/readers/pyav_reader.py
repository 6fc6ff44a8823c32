"""Video reader based on PyAV, the default."""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mmvidssl.registry import VIDEO_READERS

from .base import IndexedReader, shrink_frame
from .errors import UndecodableVideoError
from .stream import turn_of, video_stream
from .video_index import decode, is_keyframe, open_video

# Codecs whose decoders can skip non-reference frames without damage to the others.
SKIPPING_CODECS = ('h264', 'hevc', 'mpeg4', 'mpeg2video')


@VIDEO_READERS.register_module()
class PyAVReader(IndexedReader):
    """Frame-accurate reading with PyAV that decodes as few frames as possible.

    It seeks to the keyframe before a requested frame and decodes from there; where the codec allows
    it, it skips frames that are neither requested nor referred to. Colours are converted by the
    file's own matrix, frames turned upright. A decoder holds a few frames: 0.1 GB at 4K.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.
    """

    errors = (av.FFmpegError,)

    def close(self) -> None:
        """Free the file, the decoder and the index."""
        if self._decoder is not None:
            self._decoder.close()
        super().close()

    def _build(self) -> Any:
        container = open_video(self.path)
        stream = video_stream(container)
        stream.thread_type = 'NONE' if self.num_threads == 1 else 'AUTO'
        stream.codec_context.thread_count = self.num_threads
        # Shared by all frames: by default, PyAV makes one, and its context, per frame.
        self._reformatter = VideoReformatter()
        return container

    def _decode(
        self, decoder: Any, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        times = self.index.pts[wanted].tolist()
        frames: Iterator[tuple[Any, bool]] = iter(())
        nearest = num_back = 0
        for pts in times:
            before, nearest = nearest, self.index.key_of(pts)
            # Decode on where a new seek, which may go back as far as the last, gains nothing.
            frame = _find(pts, frames) if nearest - before <= num_back else None
            if frame is None:
                key, frames = self._land(nearest, set(times))
                num_back, frame = nearest - key, _find(pts, frames)
            if frame is None:
                raise UndecodableVideoError(
                    f'cannot decode the frame at {float(pts * self.index.time_base):.3f} s of '
                    f'{self.path}: its data are damaged; get the file again, or re-encode it'
                )
            yield self._to_rgb(frame, short_side)

    def _land(self, nearest: int, wanted: set[int]) -> tuple[int, Iterator[tuple[Any, bool]]]:
        """Seek to keyframe ``nearest`` or one before; its number, and the frames from there on.

        Where a seek does not land there, it goes back in steps that double, at last to the start.
        Demuxers seek by presentation time (MP4) or by decoding time, which is earlier: tried
        second, since MP4's would go to the keyframe before.
        """
        key, step = nearest, 1
        while key >= 0 and self.index.keyed_by != 'count':
            start = int(self.index.key_pts[key])
            for time in start, int(self.index.key_dts[key]):
                frames = self._frames_from(time, wanted)
                for frame, is_whole in frames:
                    if frame.pts <= start and is_whole and is_keyframe(frame):
                        return key, chain(((frame, is_whole),), frames)
                    if frame.pts > start:
                        break
            key, step = key - step, 2 * step
        return 0, self._frames_from(None, wanted)

    def _frames_from(self, time: int | None, wanted: set[int]) -> Iterator[tuple[Any, bool]]:
        """Frames after a seek to ``time`` (None: the start), and whether each is undamaged."""
        if time is None:  # reopened: not every file can seek to its start
            self._open().close()
            self._decoder = None
        container, is_whole = self._open(), True
        stream = video_stream(container)
        if time is not None:
            container.seek(time, stream=stream, backward=True)
        frames = decode(stream.codec_context, self._packets(container, stream, wanted))
        counted = self.index.pts.tolist() if self.index.keyed_by == 'count' else repeat(None)
        for pts, frame in zip(counted, frames, strict=False):
            frame.pts = frame.pts if pts is None else pts
            # Frames that refer to a damaged one are damaged too, but not marked so.
            is_whole = not frame.is_corrupt and (is_whole or is_keyframe(frame))
            if frame.pts is not None:
                yield frame, is_whole

    def _packets(self, container: Any, stream: Any, wanted: set[int]) -> Iterator[Any]:
        """Packets from here on; the decoder is told to skip frames that are not needed."""
        context = stream.codec_context
        can_skip = self.index.keyed_by == 'packet' and context.name in SKIPPING_CODECS
        for packet in container.demux(stream):
            is_wanted = packet.pts is None or packet.pts in wanted
            context.skip_frame = 'DEFAULT' if is_wanted or not can_skip else 'NONREF'
            yield packet

    def _to_rgb(self, frame: Any, short_side: int | None) -> np.ndarray:
        """A decoded frame as uint8 RGB ``(H, W, 3)``, upright, shrunk by averaging.

        FFmpeg could shrink while it converts (at 4K in half of 20 ms), but would average otherwise
        than the other readers, and with colours at half the horizontal resolution.
        """
        rgb = self._reformatter.reformat(frame, format='rgb24', threads=1).to_ndarray()
        return turn_of(frame, self.path).apply(shrink_frame(rgb, short_side))


def _find(pts: int, frames: Iterator[tuple[Any, bool]]) -> Any:
    """The frame shown at ``pts``; None if it is damaged or missing."""
    for frame, is_whole in frames:
        if frame.pts >= pts:
            return frame if is_whole and frame.pts == pts else None
    return None
