"""Proxies of many videos, several at a time."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, TimeoutError, wait
from pathlib import Path
from typing import Any, NamedTuple

from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from mmvidssl.datasets.list_files import VIDEO_SUFFIXES, find_files
from mmvidssl.datasets.readers import PROXY_SUFFIX, VideoError, is_proxy, read_manifest
from mmvidssl.utils.cores import num_cores

from .one_video import Progress, Proxy, ProxySettings, hash_file, make_proxy

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 30.0  # where the output is a file
DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds for a video. An hour of 4K at 60 frames a second takes about one, of one core."""


class MadeProxies(NamedTuple):
    """What :func:`make_proxies` made, and why it did not make the rest (by video)."""

    proxies: list[Proxy]
    failed: dict[str, str]


class Job(NamedTuple):
    """A video and its proxy: the arguments of :func:`make_proxy`."""

    video: str
    path: str
    settings: ProxySettings
    num_threads: int
    overwrite: bool


def make_proxies(
    videos: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    settings: ProxySettings | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> MadeProxies:
    """Make the proxies of videos, and show how far it is. See :func:`make_proxy`.

    A video that fails does not stop the others.

    Args:
        videos: Files, or folders, whose sub-folders are made in ``out`` too.
        out: Folder of the proxies: NAME.proxy.mp4 for NAME.mp4.
        settings: What the proxies are to be like.
        workers: Videos at a time, each in a process of its own; ``None`` takes one for each core.
            Cores that are left over help to decode. A single one is this process.
        overwrite: Whether to make proxies again that are there already.
        timeout: Seconds after which a video is given up, where there are several workers.

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
    results = run_jobs(jobs, workers, timeout)
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
            names = [Path(file.path) for file in find_files(video, VIDEO_SUFFIXES)]
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
    """Compare proxies (or all in folders) with the checksums in their manifests.

    Returns:
        What is wrong, by path, also of those that cannot be read; nothing if all are whole.
    """
    failed: dict[str, str] = {}
    for path in map(Path, paths):
        is_folder = os.path.isdir(path)  # Path.is_dir raises where nothing may be looked at
        names = [file.path for file in find_files(path, [PROXY_SUFFIX])] if is_folder else ['']
        for file in [str(path / name) for name in names]:
            try:
                if hash_file(file) != read_manifest(file)['sha256']:
                    failed[file] = 'its bytes are not those that were written: make it again'
            except (VideoError, OSError) as error:
                failed[file] = str(error)
    return failed


def run_jobs(jobs: Sequence[Job], workers: int, timeout: float) -> list[Proxy | str]:
    """Do all jobs, ``workers`` at a time; a proxy or why there is none for each, in order."""
    sizes = [os.path.getsize(job.video) for job in jobs]
    interval = SECONDS_BETWEEN_LOOKS if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    with tqdm(
        desc='proxies', total=sum(sizes), unit='B', unit_scale=True, mininterval=interval
    ) as bar:

        def show(shares: Sequence[float]) -> None:
            done = sum(size * share for size, share in zip(sizes, shares, strict=True))
            bar.update(int(done) - bar.n)

        if workers == 1:
            return _run_here(jobs, show)
        return _run_in_pool(jobs, workers, timeout, show)


def _run_here(jobs: Sequence[Job], show: Callable[[Sequence[float]], None]) -> list[Proxy | str]:
    shares, results = [0.0] * len(jobs), []
    for number, job in enumerate(jobs):

        def tell(share: float, note: str, number: int = number) -> None:
            shares[number] = share
            show(shares)

        results.append(_attempt(job, tell))
        tell(1.0, '')
    return results


def _run_in_pool(
    jobs: Sequence[Job], workers: int, timeout: float, show: Callable[[Sequence[float]], None]
) -> list[Proxy | str]:
    """The processes are not forked: this one has threads."""
    context = multiprocessing.get_context('spawn')
    shares = context.Array('d', len(jobs), lock=False)
    pool = ProcessPool(workers, initializer=_start_worker, initargs=(shares,), context=context)
    try:
        futures = [
            pool.schedule(_work, (number, job), timeout=timeout) for number, job in enumerate(jobs)
        ]
        while wait(futures, SECONDS_BETWEEN_LOOKS).not_done:
            show([1.0 if f.done() else s for f, s in zip(futures, shares, strict=True)])
        show([1.0] * len(jobs))
        return [_result_of(future, timeout) for future in futures]
    finally:
        pool.stop()
        pool.join()


def _result_of(future: Future, timeout: float) -> Proxy | str:
    try:
        return future.result()
    except TimeoutError:
        return (
            f'it was not made within {timeout:.0f} s, so that its process was ended: its disk '
            'stalls, the video hangs the decoder, or --timeout is too short'
        )
    except ProcessExpired as error:
        why = ', as when memory is short' if error.exitcode == -9 else ''
        return f'the process died (exit code {error.exitcode}{why}); the same command tries again'


_shares: Any = []  # of the jobs, in a worker's memory: how much is done


def _start_worker(shares: Any) -> None:
    global _shares
    _shares = shares


def _work(number: int, job: Job) -> Proxy | str:
    """What a worker does; it ends with its parent."""
    parent = multiprocessing.parent_process()

    def tell(share: float, note: str) -> None:
        _shares[number] = share
        if parent is not None and not parent.is_alive():
            os._exit(1)

    return _attempt(job, tell)


def _attempt(job: Job, progress: Progress) -> Proxy | str:
    """The proxy, or why there is none."""
    try:
        return make_proxy(*job, progress)
    except (OSError, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__
