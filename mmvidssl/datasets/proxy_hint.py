"""What is said once when a run could read proxies, or reads them otherwise than it may think."""

import functools
import shlex
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from torch.utils.data import get_worker_info

from .readers import VideoInfo, is_proxy

# From here on decoding takes seconds a clip.
SLOW_SHORT_SIDE = 1440
DEFAULT_FPS = 4.0


def advise_on_proxies(
    videos: Sequence[VideoInfo], clip_len: int, frame_interval: float, interval_unit: str
) -> None:
    """Log what a proxy would save where videos are large, and what a frame of a proxy is.

    Each message once a process, and only in the main one.
    """
    if not is_main_process() or get_worker_info() is not None:
        return
    large = [v for v in videos if not is_proxy(v.path) and v.short_side >= SLOW_SHORT_SIDE]
    if large:
        seconds = frame_interval / (large[0].fps if interval_unit == 'frames' else 1)
        _say_once(_saving(large, max(DEFAULT_FPS, 1 / seconds)))
    proxies = [v for v in videos if is_proxy(v.path)]
    if proxies and interval_unit == 'frames' and clip_len > 1:
        _say_once(
            f"interval_unit='frames' counts the frames of the proxy, and {proxies[0].path} has "
            f"{proxies[0].fps:.3g} of them a second: a clip's frames are "
            f"{frame_interval / proxies[0].fps:.3g} s apart. interval_unit='seconds' means the "
            'same for videos and proxies.'
        )


def _saving(large: Sequence[VideoInfo], fps: float) -> str:
    files = ' '.join(shlex.quote(video.path) for video in large)
    parent = Path(large[0].path).parent
    if parent.name in ('', '..'):
        parent = parent.resolve()
    folder = shlex.quote(f'{parent}_proxy')  # beside: a folder is searched with all below
    return (
        f'{large[0].path} has frames of {large[0].short_side} lines or columns, which take long to '
        'decode. Read from proxies, clips cost next to nothing: 8 frames a second apart took 4.7 s '
        'of a core (PyAV) and 16 s (decord, opened anew for each clip, two workers on two cores) '
        'from a 4K video at 60 frames a second, and 0.04 s from a proxy of 720 lines '
        '(tools/benchmarks/decoding.py; docs/en/proxies.md). Make them once, in about 0.55 h '
        f'per hour of video, and give them to the data set in place of the videos: python '
        f'tools/datasets/make_proxy.py {files} --short-side 720 --fps {fps:g} --out {folder}'
    )


@functools.cache
def _say_once(message: str) -> None:
    MMLogger.get_current_instance().warning(message)
