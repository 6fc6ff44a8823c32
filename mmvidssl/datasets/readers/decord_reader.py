"""Video reader based on decord."""

import os
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import IndexedReader, shrink_frame

# Kinds of file for which decord's frames were compared with the numbered ones written.
TRUSTED_CODECS = ('h264', 'vp8', 'vp9', 'mjpeg', 'mpeg4')
TRUSTED_CONTAINERS = ('mov,mp4', 'matroska,webm', 'avi')
# Seconds; decord keeps times in float32.
MAX_TIME_ERROR = 2e-3


@VIDEO_READERS.register_module()
class DecordReader(IndexedReader):
    """Frame-accurate reading with decord 0.6: for short clips.

    ``PyAVReader`` is faster and reads more files. Opening reads every packet of the file once more
    (seconds for an hour of video, much longer when the file is not in the page cache), and buffers
    hold gigabytes of 4K frames. Frames are shrunk after decoding: decord's own ``width`` and
    ``height`` save little time and would need one open decoder per size.

    Refuses files for which decord is known to give wrong frames or timestamps: those of
    :attr:`VideoIndex.pitfall`, HEVC (after seeking to an open GOP), H.264 in AVI, MPEG-4 part 2
    with B-frames, edit lists, several video streams, rotated or mirrored videos, and codecs and
    containers that were not compared.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.
    """

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Exceptions of decord, which asserts that a file has frames."""
        from decord._ffi.base import DECORDError

        return DECORDError, RuntimeError, IndexError, AssertionError, av.FFmpegError

    def _decode(
        self, decoder: Any, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        for index in wanted:  # a batch of whole 4K frames would be held before it is shrunk
            yield shrink_frame(_decode_one(decoder, int(index)), short_side)

    def _build(self) -> Any:
        import decord

        container, codec = self.index.container, self.index.codec
        if self.index.pitfall:
            self._refuse(self.index.pitfall)
        if codec not in TRUSTED_CODECS or not container.startswith(TRUSTED_CONTAINERS):
            self._refuse(f'{codec} in {container}')
        if (codec, container) == ('h264', 'avi'):
            self._refuse('h264 in avi')
        if codec == 'mpeg4' and self.index.has_b_frames:
            self._refuse('B-frames of mpeg4')
        streams, turn = self._look()
        if len(streams) > 1:  # decord chooses one, without telling which
            self._refuse(f'which has {len(streams)} video streams')
        if any(turn):  # it rotates MP4 alone, never mirrors, and tells neither
            self._refuse('which is turned or mirrored when it is shown')
        decoder = decord.VideoReader(os.path.abspath(self.path), num_threads=self.num_threads)
        self._check_count(len(decoder))
        times = decoder.get_frame_timestamp(range(len(decoder)))[:, 0]
        if np.ptp(self.timestamps - times) > MAX_TIME_ERROR:
            self._refuse('whose times it does not see')
        return decoder


def _decode_one(decoder: Any, index: int) -> np.ndarray:
    """One frame, uint8 RGB ``(H, W, 3)``.

    decord 0.6 takes the padding at the end of each line of some frames narrower than 64 pixels for
    further channels.
    """
    frame = decoder[index].asnumpy()
    height, width = frame.shape[:2]
    return frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)
