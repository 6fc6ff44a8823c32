"""Which stream of a file is its video, and which way up its frames are."""

import math
from typing import Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition

from .errors import UndecodableVideoError

EXIF = '31 '  # FFmpeg's number of such data of a frame, as PyAV's error begins
MAX_SLANT = 0.001  # tangent of what a display matrix may be off from right angles


def video_streams(container: Any) -> list[Any]:
    """A container's video streams, in the order of the file; cover pictures are none."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def video_stream(container: Any) -> Any:
    """The stream that is read: the first video stream, ``0:V:0`` of the ffmpeg command line.

    Raises:
        UndecodableVideoError: there is none.
    """
    streams = video_streams(container)
    if not streams:
        raise UndecodableVideoError(f'there is no video stream in {container.name}')
    return streams[0]


class Turn(NamedTuple):
    """How a stored frame becomes the one that is shown: axes swapped first, then reversed."""

    swaps: bool = False
    flips_rows: bool = False
    flips_columns: bool = False

    @property
    def is_mirrored(self) -> bool:
        """Whether it is more than a rotation."""
        return sum(self) % 2 == 1

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """A stored frame ``(H, W, 3)`` as it is shown."""
        if not any(self):
            return pixels
        pixels = pixels.swapaxes(0, 1) if self.swaps else pixels
        rows, columns = (slice(None, None, -1 if flips else 1) for flips in self[1:])
        return np.ascontiguousarray(pixels[rows, columns])


def turn_of(frame: Any, path: str) -> Turn:
    """How a decoded frame is to be turned, by its display matrix.

    Raises:
        UndecodableVideoError: by an angle that is no right one, or as EXIF data say.
    """
    # Of a stored pixel, x to the right and y down, the place shown is a x + c y and b x + d y.
    a, b, c, d = _display_matrix(frame, path)
    straight, crosswise = abs(a) + abs(d), abs(b) + abs(c)
    if min(straight, crosswise) > MAX_SLANT * max(straight, crosswise):
        raise UndecodableVideoError(
            f'{path} is rotated by {-math.degrees(math.atan2(b, a)):.1f} degrees, not by a '
            'multiple of 90; re-encode it, which applies the rotation: ffmpeg -i FILE OUT.mp4'
        )
    return Turn(True, b < 0, c < 0) if crosswise > straight else Turn(False, d < 0, a < 0)


def _display_matrix(frame: Any, path: str) -> tuple[float, float, float, float]:
    try:
        # Not frame.side_data, which the frame keeps and which keeps the frame, 12 MB at 4K, until
        # Python looks for such circles, 2 GB later. PyAV's types do not tell its arguments.
        side_data: Any = SideDataContainer(frame)  # type: ignore[call-arg]
        found = (data for data in side_data if data.type.name == 'DISPLAYMATRIX')
        matrix = next((np.frombuffer(data, np.int32) for data in found), None)
    except ValueError as error:  # beside data that PyAV does not know, it tells turns alone
        if str(error).startswith(EXIF):  # which may mirror; others do not come with mirrors
            raise UndecodableVideoError(
                f'{path} may be rotated or mirrored by EXIF data, which PyAV does not report; '
                're-encode it, which applies them: ffmpeg -i FILE OUT.mp4'
            ) from error
        angle = math.radians(frame.rotation)
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = matrix[:5].tolist()
    return a, b, c, d
