"""Walking Tours, from nothing to what training reads: downloaded, verified, prepared."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from mmvidssl.datasets.list_files import VIDEO_SUFFIXES
from mmvidssl.datasets.readers import PyAVReader, VideoError, VideoNotFoundError, read_manifest
from mmvidssl.datasets.walking_tours_dataset import find_tour
from mmvidssl.datasets.walking_tours_videos import FPS, LICENCE, MINUTES, MIRROR, SIZE, TourVideo
from mmvidssl.utils.atomic_file import atomic_path, replace_synced
from mmvidssl.utils.listing import some

from .proxies import MadeProxies, ProxySettings, make_proxies
from .proxies.one_video import hash_file, only_this_process_makes
from .video_lists import quoted, write_lines
from .video_statistics import describe_video


def download_tour(
    video: TourVideo, folder: str | os.PathLike, selector: str = 'bestvideo/best'
) -> dict[str, Any]:
    """Download a video with yt-dlp, unless its file is there, and record its checksum.

    Until it is whole and recorded it lies in a hidden folder; the next call goes on with it.

    Args:
        video: One of ``WALKING_TOURS``, or with the ``url`` of a file, as on the mirror's page.
        folder: Where it goes, as ``venice.webm`` or whatever its format ends in.
        selector: Which of the site's formats, in yt-dlp's words; sound is not needed.

    Returns:
        The record, ``venice.download.json``: file, bytes, sha256 and where they are from.

    Raises:
        ImportError: yt-dlp is not installed, and there is something to download.
        ValueError: yt-dlp does not understand ``selector``.
        OSError: it cannot be downloaded, another process is doing so, or the record is damaged.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with only_this_process_makes(record_file := folder / f'{video.stem}.download.json'):
        partial = folder / f'.{video.stem}.download'
        path = find_tour(folder, video.city, with_proxies=False)
        record = _read_record(record_file)
        if path and record:
            if (record.get('file'), record.get('bytes')) != (path.name, path.stat().st_size):
                text = f'{path} is not what {record_file} says: remove the video to download it'
                raise OSError(f'{text} again, or the record if the video is right')
            shutil.rmtree(partial, ignore_errors=True)  # of a stop just before this was done
            return record
        if path:
            made, source = path, dict(note='was there already')
        else:
            made, source = _fetch(video, partial, selector)
            suffix = made.suffix if made.suffix in VIDEO_SUFFIXES else '.mp4'
            path = folder / f'{video.stem}{suffix}'
        record = dict(file=path.name, bytes=made.stat().st_size, sha256=hash_file(made))
        record.update(source, licence=LICENCE)
        with atomic_path(record_file) as file:
            file.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
        if made != path:
            replace_synced(made, path)
        shutil.rmtree(partial, ignore_errors=True)
    return record


def _read_record(file: Path) -> dict[str, Any]:
    """What :func:`download_tour` recorded; empty where there is none."""
    try:
        return dict(json.loads(file.read_text(encoding='utf-8'))) if file.is_file() else {}
    except (ValueError, TypeError) as error:
        raise OSError(f'{file} is damaged: remove it, and "download" again') from error


def _fetch(video: TourVideo, folder: Path, selector: str) -> tuple[Path, dict[str, Any]]:
    """Let yt-dlp download into a folder of its own; the file, and what is known of its source."""
    try:
        import yt_dlp
    except ImportError as error:
        raise ImportError(
            "downloading needs yt-dlp: pip install -U 'yt-dlp[default,deno]'. Or get it at "
            f'{MIRROR} (not verified here) and name it {folder.parent / video.stem}.mp4'
        ) from error
    source = hashlib.sha256(video.url.encode()).hexdigest()[:8]  # none is continued from another
    options = dict(
        paths={'home': str(folder)},
        outtmpl=f'{source}.%(format_id)s.%(ext)s',
        format=selector,
        allowed_extractors=['^youtube$', '^generic$'],
        color='no_color',
        noprogress=not sys.stdout.isatty(),
    )
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(video.url)
        made = Path(info['requested_downloads'][0]['filepath'])
    except SyntaxError as error:
        raise ValueError(f'yt-dlp does not understand the selector {selector!r}') from error
    except (yt_dlp.utils.DownloadError, KeyError) as error:  # the latter of a page of several
        raise OSError(
            f'{video.city} cannot be downloaded from {video.url} ({str(error).strip()}). The same '
            'command goes on. Offline? A fresh yt-dlp may help: pip install -U yt-dlp. Or copy the '
            f'link of its file at {MIRROR} (not verified here), for --url'
        ) from error
    site = {key: info.get(key) for key in ('format_id', 'width', 'height', 'fps', 'license')}
    return made, dict(url=video.url, yt_dlp=yt_dlp.version.__version__, site=site)


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
    path = find_tour(Path(folder), video.city, with_proxies=False)
    if path is None:
        raise VideoNotFoundError(f'there is no video of {video.city} in {folder}')
    reader = PyAVReader(str(path), num_threads=0)
    sizes = [reader.get_frames(np.array([k])).shape[2:0:-1] for k in (0, reader.num_frames - 1)]
    minutes = (reader.timestamps[-1] - reader.timestamps[0] + 1 / reader.fps) / 60
    shortest, longest = (video.minutes, video.minutes) if video.minutes else MINUTES
    record = _read_record(path.with_name(f'{video.stem}.download.json'))
    problems = []
    if set(sizes) != {SIZE}:
        problems.append(f'the first and last frame have {sizes} pixels where the paper has {SIZE}')
    if abs(reader.fps - FPS) > 0.1:  # 59.94 is what television means by 60
        problems.append(f'{reader.fps:.2f} frames a second where the paper has {FPS}')
    if not shortest - 1 < minutes < longest + 1:
        problems.append(f'{minutes:.1f} minutes where the data set has {shortest} to {longest}')
    if record and record.get('sha256') != hash_file(path):
        text = f'its bytes are not those of {video.stem}.download.json'
        problems.append(f'{text}: remove it and download it again')
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
    """Make the proxies that training reads, and list those of ``out`` in ``out/train.txt``.

    Listed are those with these settings alone: others may be without the blur that is asked for.

    Args:
        videos: Of ``WALKING_TOURS``; those without a file, or with several, are among the failed.
        folder: Where they are.
        out: Folder of the proxies, not in ``folder``.
        **options: See :func:`make_proxies`; its settings say whether faces are blurred.

    Raises:
        ValueError: ``out`` lies in ``folder``, or impossible settings.
    """
    folder, out = Path(folder), Path(out)
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'{out} lies in {folder}, where videos are searched: choose another')
    paths: list[Path] = []
    failed: dict[str, str] = {}
    for video in videos:
        try:
            if path := find_tour(folder, video.city, with_proxies=False):
                paths.append(path)
            else:
                failed[video.city] = f'no video of it in {folder}'
        except ValueError as error:  # several
            failed[video.city] = str(error)
    made = make_proxies(paths, out, **options) if paths else MadeProxies([], {})
    failed |= made.failed
    if not paths or not out.is_dir():
        return MadeProxies([], failed)
    settings: dict[str, Any] = {}
    asked = (options.get('settings') or ProxySettings()).checked().as_json()
    with only_this_process_makes(file := out / 'train.txt'):  # tasks of an array may end at once
        proxies = [p for p in out.glob('[!.]*.proxy.mp4') if p.with_suffix('.json').is_file()]
        for proxy in sorted(proxies):  # that are finished
            try:
                settings[proxy.name] = read_manifest(proxy)['settings']
            except OSError as error:
                failed[str(proxy)] = f'{error}. Not in {file}: make it again, or remove it'
        listed = [quoted(name) for name in settings if settings[name] == asked]
        write_lines(file, listed) if listed else file.unlink(missing_ok=True)
    if others := [name for name in settings if settings[name] != asked]:
        text = f'not in {file}{"" if listed else ", which is removed"}, since their settings are'
        MMLogger.get_current_instance().warning(f'{text} others: {some(others)}')
    return MadeProxies(made.proxies, failed)
