"""Reading with torchcodec, where it is installed."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import shrink_frame
from .errors import UndecodableVideoError
from .indexed_reader import IndexedReader


@VIDEO_READERS.register_module()
class TorchCodecReader(IndexedReader):
    """Frame-accurate reading with torchcodec, which needs FFmpeg's shared libraries.

    It reads every packet once more when it opens a file, and refuses the last frames of some files
    (MPEG-TS and -PS, AVI). Install it with ``pip install mmvidssl[torchcodec]`` and
    ``apt install ffmpeg``.

    Args:
        path: The video file.
        num_threads: Threads of the decoder; 1 leaves the cores to the other workers.

    Raises:
        ImportError: torchcodec, or FFmpeg, is not installed.
    """

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What torchcodec raises."""
        return RuntimeError, IndexError

    def _build(self) -> Any:
        try:
            from torchcodec.decoders import VideoDecoder
        except RuntimeError as error:
            raise ImportError(
                'torchcodec is installed, but finds no FFmpeg; install it (apt install ffmpeg) or '
                "use reader=dict(type='PyAVReader')"
            ) from error
        decoder = VideoDecoder(
            self.path, dimension_order='NHWC', num_ffmpeg_threads=self.num_threads
        )
        if len(decoder) != self.num_frames:
            raise UndecodableVideoError(
                f'torchcodec finds {len(decoder)} frames in {self.path}, its packets say '
                f"{self.num_frames}; use reader=dict(type='PyAVReader') for it"
            )
        return decoder

    def _decode(
        self, decoder: Any, wanted: np.ndarray, short_side: int | None
    ) -> Iterator[np.ndarray]:
        for index in wanted:  # a batch of whole 4K frames would be held before it is shrunk
            yield shrink_frame(decoder.get_frame_at(int(index)).data.numpy(), short_side)
