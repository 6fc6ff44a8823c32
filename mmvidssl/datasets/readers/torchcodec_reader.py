"""Video reader based on torchcodec, an optional package."""

import os
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import IndexedReader, shrink_frame

MAX_TIME_ERROR = 1e-6  # seconds


@VIDEO_READERS.register_module()
class TorchCodecReader(IndexedReader):
    """Frame-accurate reading with torchcodec, which needs FFmpeg's shared libraries.

    Opening a file reads every packet once more. Refuses files for which torchcodec gives wrong
    frames: those of :attr:`VideoIndex.pitfall`, and mirrored ones (before 0.11, rotated ones too);
    also frames that come with another timestamp (where an edit list shows a part twice), and the
    last one of some files (H.264 in FLV).
    Install it with ``pip install mmvidssl[torchcodec]`` and ``apt install ffmpeg``.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.

    Raises:
        ImportError: torchcodec, or FFmpeg, is not installed.
    """

    errors = (RuntimeError, IndexError, av.FFmpegError)

    def _build(self) -> Any:
        if self.index.pitfall:
            self._refuse(self.index.pitfall)
        streams, turn = self._look()
        try:
            from torchcodec.decoders import VideoDecoder

            decoder = VideoDecoder(
                os.path.abspath(self.path),
                stream_index=streams[0],
                dimension_order='NHWC',
                num_ffmpeg_threads=self.num_threads,
            )
        except RuntimeError as error:
            if 'libtorchcodec' not in str(error):
                raise
            raise ImportError(
                'torchcodec is installed, but finds no FFmpeg; install it (apt install ffmpeg) or '
                "use reader=dict(type='PyAVReader')"
            ) from error
        self._check_count(len(decoder))
        # torchcodec never mirrors; it rotates from 0.11 on, and then reports it.
        if turn.is_mirrored or (any(turn) and not getattr(decoder.metadata, 'rotation', None)):
            self._refuse('which is turned or mirrored when it is shown')
        return decoder

    def _decode(
        self, decoder: Any, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        times = self.timestamps - self.timestamps[0]
        begin = decoder.metadata.begin_stream_seconds  # FFmpeg's releases differ in it for AVI
        for index in wanted:  # a batch of whole 4K frames would be held before it is shrunk
            frame = decoder.get_frame_at(int(index))
            if abs(frame.pts_seconds - begin - times[index]) > MAX_TIME_ERROR:
                self._refuse(f'of which it gives another frame for frame {index}')
            yield shrink_frame(frame.data.numpy(), short_side)
