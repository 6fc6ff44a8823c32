"""Proxies of many videos, several at a time."""

import functools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from mmvidssl.datasets.list_files import VIDEO_SUFFIXES, find_files
from mmvidssl.datasets.readers import PROXY_SUFFIX, check_is_local, is_proxy, read_manifest
from mmvidssl.utils.setup_env import num_cores

from .one_video import Progress, Proxy, ProxySettings, hash_file, make_proxy

DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds for a video. An hour of 4K at 60 frames a second takes about one, of one core."""
LONGEST_START = 30.0  # seconds that a worker may take to start once all videos are done
Pairs = list[tuple[str, str]]  # of a video and its proxy
Show = Callable[[Sequence[float]], None]  # the share of each pair that is done


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
        ImportError: what finds faces is not installed.
    """
    settings = (settings or ProxySettings()).checked()
    if settings.blur:
        settings.blur.build()  # before anything is made
    pairs = plan_proxies(videos, out)
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    workers = min(workers or num_cores(), len(pairs))
    threads = max(1, num_cores() // workers)
    make = functools.partial(
        make_proxy, settings=settings, num_threads=threads, overwrite=overwrite
    )
    results = run_jobs(make, pairs, workers, timeout)
    made = [result for result in results if isinstance(result, Proxy)]
    failed = {
        video: result
        for (video, _), result in zip(pairs, results, strict=True)
        if isinstance(result, str)
    }
    return MadeProxies(made, failed)


def plan_proxies(videos: Sequence[str | os.PathLike], out: str | os.PathLike) -> Pairs:
    """Each video, and where its proxy belongs. See :func:`make_proxies`."""
    owners: dict[str, str] = {}
    for video in map(Path, videos):
        if video.is_dir():
            if Path(out).resolve().is_relative_to(video.resolve()):
                raise ValueError(
                    f'{out} lies in {video}, where videos are searched: choose another'
                )
            names = [file.path for file in find_files(video, VIDEO_SUFFIXES)]
            found = [(video / name, Path(name)) for name in names]
        elif video.exists():
            found = [(video, Path(video.name))]
        else:
            check_is_local(video)
            raise FileNotFoundError(f'no such video or folder: {video}')
        for file, name in found:
            if is_proxy(file):
                raise ValueError(f'{file} is a proxy itself; to check it use --verify')
            path = str(Path(out) / name.with_suffix(PROXY_SUFFIX))
            if owners.setdefault(path, str(file)) != str(file):
                raise ValueError(
                    f'{owners[path]} and {file} would have the same proxy {path}: rename one, or '
                    'choose another folder for it'
                )
    if not owners:
        raise ValueError('no video is given')
    return [(video, path) for path, video in owners.items()]


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
            except OSError as error:
                failed[file] = str(error)
    return failed


def run_jobs(make: Callable, pairs: Pairs, workers: int, timeout: float) -> list[Proxy | str]:
    """Make all pairs, ``workers`` at a time; a proxy or why there is none for each, in order."""
    sizes = [os.path.getsize(video) if os.path.exists(video) else 0 for video, _ in pairs]
    interval = 0.5 if sys.stderr.isatty() else 30.0  # seconds
    with tqdm(
        desc='proxies', total=sum(sizes), unit='B', unit_scale=True, mininterval=interval
    ) as bar:

        def show(shares: Sequence[float]) -> None:
            bar.update(int(np.dot(sizes, shares)) - bar.n)

        if workers == 1:
            return _run_here(make, pairs, show)
        return _run_in_pool(make, pairs, workers, timeout, show)


def _run_here(make: Callable, pairs: Pairs, show: Show) -> list[Proxy | str]:
    shares, results = [0.0] * len(pairs), []
    for number, pair in enumerate(pairs):

        def tell(share: float, number: int = number) -> None:
            shares[number] = share
            show(shares)

        results.append(_attempt(make, pair, tell))
        tell(1.0)
    return results


def _run_in_pool(
    make: Callable, pairs: Pairs, workers: int, timeout: float, show: Show
) -> list[Proxy | str]:
    context = multiprocessing.get_context('spawn')  # this process has threads: it cannot fork
    shares, started = context.Array('d', len(pairs), lock=False), context.Value('i')
    start = (shares, started, max(1, num_cores() // workers))
    pool = ProcessPool(workers, initializer=_start_worker, initargs=start, context=context)
    try:
        futures = [
            pool.schedule(_work, (make, number, pair), timeout=timeout)
            for number, pair in enumerate(pairs)
        ]
        while wait(futures, timeout=0.5).not_done:
            show([1.0 if f.done() else s for f, s in zip(futures, shares, strict=True)])
        show([1.0] * len(pairs))
        results = [_result_of(future, timeout) for future in futures]
        # A worker that is still starting would print a traceback: pebble removes its locks first.
        until = time.monotonic() + LONGEST_START
        while started.value < workers and time.monotonic() < until:
            time.sleep(0.05)
        pool.close()
        return results
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()


def _result_of(future: Future, timeout: float) -> Proxy | str:
    try:
        return future.result()
    except TimeoutError:
        return f'it was not made within {timeout:.0f} s (its disk or the decoder hangs?)'
    except ProcessExpired as error:
        why = ', as when memory is short' if error.exitcode == -9 else ''
        return f'the process died (exit code {error.exitcode}{why}); the same command tries again'
    except BrokenProcessPool as error:
        return f'its process could not be started: {error}; the same command tries again'


_shares: Any = []  # of the pairs that are done, in a worker's memory


def _start_worker(shares: Any, started: Any, num_threads: int) -> None:
    global _shares
    _shares = shares
    with started.get_lock():
        started.value += 1
    cv2.setNumThreads(num_threads)  # of what finds faces; the workers' together fill the cores


def _work(make: Callable, number: int, pair: tuple[str, str]) -> Proxy | str:
    """What a worker does; it ends with its parent."""
    parent = multiprocessing.parent_process()

    def tell(share: float) -> None:
        _shares[number] = share
        if parent is not None and not parent.is_alive():
            os._exit(1)

    return _attempt(make, pair, tell)


def _attempt(make: Callable, pair: tuple[str, str], progress: Progress) -> Proxy | str:
    """The proxy, or why there is none."""
    try:
        return make(*pair, progress=progress)
    except (OSError, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__
