"""Reading with torchcodec, where it is installed."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import IndexedReader, shrink_frame


@VIDEO_READERS.register_module()
class TorchCodecReader(IndexedReader):
    """Frame-accurate reading with torchcodec, which needs FFmpeg's shared libraries.

    It reads every packet once more when it opens a file. Files of which torchcodec gives wrong
    frames are refused (:attr:`VideoIndex.pitfall`), and the last frames of some others (H.264 in
    FLV). Install it with ``pip install mmvidssl[torchcodec]`` and ``apt install ffmpeg``.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.

    Raises:
        ImportError: torchcodec, or FFmpeg, is not installed.
    """

    errors = (RuntimeError, IndexError)

    def _build(self) -> Any:
        if self.index.pitfall:
            self._refuse(self.index.pitfall)
        try:
            from torchcodec.decoders import VideoDecoder

            decoder = VideoDecoder(
                os.path.abspath(self.path),
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
        return decoder

    def _decode(
        self, decoder: Any, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        for index in wanted:  # a batch of whole 4K frames would be held before it is shrunk
            yield shrink_frame(decoder.get_frame_at(int(index)).data.numpy(), short_side)
