"""Reading proxies."""

from typing import Any

import cv2
import numpy as np

from mmvidssl.registry import VIDEO_READERS

from .base import check_frame_inds, check_video_file, nearest_frames, shrink_frame
from .proxy_pack import Pack, damaged, open_pack, read_image_bytes


@VIDEO_READERS.register_module()
class ProxyReader:
    """Frames that ``tools/datasets/make_proxy.py`` has prepared, each at the cost of an image.

    Opening takes milliseconds whatever the length. The file is mapped into memory, which worker
    processes share; a pickled reader opens it again. Each frame is compared with its checksum.

    Args:
        path: The proxy.
    """

    def __init__(self, path: str) -> None:
        check_video_file(path)
        self.path = str(path)
        self._pack: Pack | None = None

    @property
    def manifest(self) -> dict:
        """What the proxy was made from and how."""
        return self._open().manifest

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self._open().frames)

    @property
    def fps(self) -> float:
        """Average number of frames per second; what was asked for if there is but one."""
        pack = self._open()
        if len(pack.frames) == 1:
            return float(pack.manifest['settings']['fps'])
        first, last = pack.frames['time'][[0, -1]].tolist()  # not all of hours: it is often asked
        return (len(pack.frames) - 1) / (last - first)

    @property
    def timestamps(self) -> np.ndarray:
        """Seconds at which the video shows each frame, float64 ``(num_frames,)``."""
        return self._open().frames['time'].astype(np.float64)

    def get_frames(
        self,
        indices: np.ndarray | None = None,
        short_side: int | None = None,
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """Decode frames ``(T,)`` to uint8 RGB ``(T, H, W, 3)``, each distinct frame once.

        Args:
            indices: Frame numbers, in any order, repeats allowed.
            short_side: Shrink frames whose shorter side is longer than this many pixels.
            times: Seconds in place of ``indices``; the nearest frames are taken.
        """
        if (indices is None) == (times is None):
            raise ValueError('get_frames needs either indices or times')
        pack = self._open()
        if indices is None:
            indices = nearest_frames(pack.frames['time'], np.asarray(times, dtype=np.float64))
        inds = check_frame_inds(indices, len(pack.frames), self.path)
        wanted, where = np.unique(inds, return_inverse=True)
        frames = [shrink_frame(_decode(pack, int(i)), short_side) for i in wanted]
        clip = np.empty((len(inds), *frames[0].shape), np.uint8)
        for place, i in enumerate(where):
            cv2.cvtColor(frames[i], cv2.COLOR_BGR2RGB, dst=clip[place])
        return clip

    def close(self) -> None:
        """Free the file."""
        self._pack = None

    def _open(self) -> Pack:
        if self._pack is None:
            self._pack = open_pack(self.path)
        return self._pack

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__, _pack=None)


def _decode(pack: Pack, number: int) -> np.ndarray:
    """uint8 BGR ``(H, W, 3)``."""
    image = cv2.imdecode(read_image_bytes(pack, number), cv2.IMREAD_COLOR)
    if image is None:  # its checksum is right
        raise damaged(
            pack.path,
            pack.manifest,
            f'OpenCV cannot decode frame {number}, a {pack.manifest["settings"]["format"]} image',
        )
    return image
