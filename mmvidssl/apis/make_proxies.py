"""Proxies of many videos, several at a time."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmvidssl.datasets.list_files import RAW_VIDEO_SUFFIXES, find_files
from mmvidssl.datasets.readers import PROXY_SUFFIX, VideoError, is_proxy, verify_pack
from mmvidssl.utils.setup_env import num_cores

from .make_proxy import Proxy, ProxySettings
from .proxy_workers import Job, run_jobs


class MadeProxies(NamedTuple):
    """What :func:`make_proxies` made, and why it did not make the rest (by video)."""

    proxies: list[Proxy]
    failed: dict[str, str]


def make_proxies(
    videos: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    settings: ProxySettings | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> MadeProxies:
    """Make the proxies of videos, and show how far it is. See :func:`make_proxy`.

    A video that fails does not stop the others.

    Args:
        videos: Files, or folders, whose sub-folders are made in ``out`` too.
        out: Folder of the proxies: NAME.frames for NAME.mp4.
        settings: What the proxies are to be like.
        workers: Videos at a time, each in a process of its own; ``None`` takes one for each core.
            Cores that are left over help to decode.
        overwrite: Whether to make proxies again that are there already.

    Raises:
        FileNotFoundError: a video or folder does not exist.
        ValueError: impossible settings, no video, or two videos with the same proxy.
    """
    settings = (settings or ProxySettings()).checked()
    pairs = plan_proxies(videos, out)
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    workers = min(workers or num_cores(), len(pairs))
    num_threads = max(1, num_cores() // workers)
    jobs = [Job(*pair, settings, num_threads, overwrite) for pair in pairs]
    results = run_jobs(jobs, workers)
    return MadeProxies(
        [result for result in results if isinstance(result, Proxy)],
        {
            job.video: result
            for job, result in zip(jobs, results, strict=True)
            if isinstance(result, str)
        },
    )


def plan_proxies(
    videos: Sequence[str | os.PathLike], out: str | os.PathLike
) -> list[tuple[str, str]]:
    """Each video, and where its proxy belongs. See :func:`make_proxies`."""
    pairs: list[tuple[str, str]] = []
    for video in map(Path, videos):
        if video.is_dir():
            names = [Path(file.path) for file in find_files(video, RAW_VIDEO_SUFFIXES)]
            found = [(video / name, name) for name in names]
        elif video.exists():
            found = [(video, Path(video.name))]
        else:
            raise FileNotFoundError(f'no such video or folder: {video}')
        pairs += [
            (str(file), str(Path(out) / name.with_suffix(PROXY_SUFFIX))) for file, name in found
        ]
    if not pairs:
        raise ValueError('no video is given')
    already = [video for video, _ in pairs if is_proxy(video)]
    if already:
        raise ValueError(f'{already[0]} is a proxy itself; to check it use --verify')
    owners: dict[str, str] = {}
    for source, path in pairs:
        if owners.setdefault(path, source) != source:
            raise ValueError(
                f'{owners[path]} and {source} would have the same proxy {path}: rename one, or '
                'choose another folder for it'
            )
    return [(source, path) for path, source in owners.items()]


def verify_proxies(paths: Sequence[str | os.PathLike]) -> dict[str, str]:
    """Compare every byte of proxies (or of all in folders) with their checksums.

    Returns:
        What is wrong, by path, also of those that cannot be read; nothing if all are whole.
    """
    failed: dict[str, str] = {}
    for path in map(Path, paths):
        is_folder = os.path.isdir(path)  # Path.is_dir raises where nothing may be looked at
        names = [file.path for file in find_files(path, [PROXY_SUFFIX])] if is_folder else ['']
        for file in [str(path / name) for name in names]:
            try:
                verify_pack(file)
            except VideoError as error:
                failed[file] = str(error)
    return failed
