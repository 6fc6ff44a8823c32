"""Walking Tours, from nothing to what training reads: downloaded, verified, prepared."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmvidssl.datasets.list_files import find_files
from mmvidssl.datasets.readers import PROXY_SUFFIX, PyAVReader, VideoError, VideoNotFoundError
from mmvidssl.datasets.walking_tours_dataset import find_tour
from mmvidssl.datasets.walking_tours_videos import FPS, LICENCE, MINUTES, MIRROR, SIZE, TourVideo
from mmvidssl.utils.atomic_file import atomic_path

from .proxies import MadeProxies, make_proxies
from .proxies.one_video import hash_file, only_this_process_makes
from .video_lists import write_lines
from .video_statistics import describe_video


def download_tour(
    video: TourVideo, folder: str | os.PathLike, selector: str = 'bestvideo/best'
) -> dict[str, Any]:
    """Download a video with yt-dlp, unless its file is there, and record its checksum.

    Until it is whole the file is yt-dlp's, and ends in ``.part``; the next call goes on with it.

    Args:
        video: One of ``WALKING_TOURS``.
        folder: Where it goes, as ``venice.webm`` or whatever its format ends in.
        selector: Which of the site's formats, in yt-dlp's words; sound is not needed.

    Returns:
        The record, ``venice.download.json``: file, bytes, sha256 and where they are from.

    Raises:
        ImportError: yt-dlp is not installed, and there is something to download.
        OSError: it cannot be downloaded, or another process is doing so.
    """
    folder = Path(folder)
    record_file = folder / f'{video.stem}.download.json'
    folder.mkdir(parents=True, exist_ok=True)
    with only_this_process_makes(record_file):
        path = find_tour(folder, video.city)
        record = json.loads(record_file.read_text()) if record_file.is_file() else {}
        if path and record:
            if (record['file'], record['bytes']) != (path.name, path.stat().st_size):
                raise OSError(f'{path} is not what {record_file} says: remove it to begin again')
            return record
        source = _fetch(video, folder, selector) if path is None else {}
        path = path or find_tour(folder, video.city)
        if path is None:
            raise OSError(f'yt-dlp left no video of {video.city} in {folder}')
        record = dict(file=path.name, bytes=path.stat().st_size, sha256=hash_file(path))
        record.update(source or dict(note='was there already'), licence=LICENCE)
        with atomic_path(record_file) as file:
            file.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    return record


def _fetch(video: TourVideo, folder: Path, selector: str) -> dict[str, Any]:
    """Let yt-dlp download; what it says of the source."""
    try:
        import yt_dlp
    except ImportError as error:
        raise ImportError(
            "downloading needs yt-dlp: pip install -U 'yt-dlp[default,deno]'. Or get the videos at "
            f'{MIRROR} and name each after its city: {folder / video.stem}.mp4'
        ) from error
    options = dict(
        paths={'home': str(folder)},
        outtmpl=f'{video.stem}.%(ext)s',
        format=selector,
        allowed_extractors=['^youtube$', '^generic$'],
        color='no_color',
        noprogress=not sys.stdout.isatty(),
    )
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(video.url)
    except (yt_dlp.utils.DownloadError, SyntaxError) as error:  # the latter of a selector
        raise OSError(
            f'{video.city} cannot be downloaded ({str(error).strip()}). The same command goes on. '
            f'Offline? A fresh yt-dlp may help: pip install -U yt-dlp. Or get it at {MIRROR} and '
            f'name it {folder / video.stem}.mp4'
        ) from error
    keys = ('format_id', 'width', 'height', 'fps', 'duration', 'license')
    return dict(
        url=video.url, yt_dlp=yt_dlp.version.__version__, site={k: info.get(k) for k in keys}
    )


def verify_tour(video: TourVideo, folder: str | os.PathLike, with_cuts: bool = True) -> str:
    """Look whether a video is there, whole and what the paper says: 4K, 60 fps, a single take.

    Args:
        video: One of ``WALKING_TOURS``.
        folder: Where the videos are.
        with_cuts: Whether to look for cuts, for which a few frames a second are decoded.

    Returns:
        What it is like.

    Raises:
        VideoError: all that is wrong.
        ValueError: several files are this video.
    """
    path = find_tour(Path(folder), video.city)
    if path is None:
        raise VideoNotFoundError(f'there is no video of {video.city} in {folder}')
    reader = PyAVReader(str(path), num_threads=0)
    sizes = [reader.get_frames(np.array([k])).shape[2:0:-1] for k in (0, reader.num_frames - 1)]
    minutes = (reader.timestamps[-1] - reader.timestamps[0] + 1 / reader.fps) / 60
    shortest, longest = (video.minutes, video.minutes) if video.minutes else MINUTES
    record = path.with_name(f'{video.stem}.download.json')
    problems = []
    if set(sizes) != {SIZE}:
        problems.append(f'the first and last frame have {sizes} pixels where the paper has {SIZE}')
    if abs(reader.fps - FPS) > 0.1:  # 59.94 is what television means by 60
        problems.append(f'{reader.fps:.2f} frames a second where the paper has {FPS}')
    if not shortest - 1 < minutes < longest + 1:
        problems.append(f'{minutes:.1f} minutes where the data set has {shortest} to {longest}')
    if record.is_file() and json.loads(record.read_text())['sha256'] != hash_file(path):
        problems.append(f'its bytes are not those of {record.name}: download it again')
    if with_cuts and (cuts := describe_video(path)['cuts']):
        problems.append(f'{len(cuts)} cuts (look there), at seconds {np.round(cuts, 1).tolist()}')
    reader.close()
    if problems:
        raise VideoError(f'{path}: {"; ".join(problems)}')
    width, height = sizes[0]
    return f'{path}, {minutes:.1f} min, {width} x {height}, {reader.fps:.2f} fps'


def prepare_tours(
    videos: Sequence[TourVideo], folder: str | os.PathLike, out: str | os.PathLike, **options: Any
) -> MadeProxies:
    """Make the proxies that training reads, and list those that are there in ``out/train.txt``.

    Args:
        videos: Of ``WALKING_TOURS``; missing ones are among those that failed.
        folder: Where they are.
        out: Folder of the proxies.
        **options: See :func:`make_proxies`; its settings say whether faces are blurred.

    Raises:
        VideoNotFoundError: none of the videos is there.
    """
    found = {video.city: find_tour(Path(folder), video.city) for video in videos}
    paths = [path for path in found.values() if path]
    if not paths:
        raise VideoNotFoundError(f'{folder} holds no video of {", ".join(found)}')
    made = make_proxies(paths, out, **options)
    missing = {city: f'no video of it in {folder}' for city, path in found.items() if not path}
    if made.proxies:
        listed = [file.path for file in find_files(out, [PROXY_SUFFIX])]
        write_lines(Path(out) / 'train.txt', listed)
    return MadeProxies(made.proxies, {**missing, **made.failed})
