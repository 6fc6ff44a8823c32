"""Proxies of many videos, several at a time."""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

from mmvidssl.datasets.list_files import RAW_VIDEO_SUFFIXES, find_files
from mmvidssl.datasets.readers import PROXY_SUFFIX, VideoError, is_proxy, verify_pack
from mmvidssl.utils.progress_bar import ProgressBar

from .make_proxy import Progress, Proxy, ProxySettings, make_proxy

SECONDS_BETWEEN_MESSAGES = 0.2


class Job(NamedTuple):
    """A video and its proxy: the arguments of :func:`make_proxy`."""

    video: str
    path: str
    settings: ProxySettings
    num_threads: int
    overwrite: bool


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
    num_cores = os.cpu_count() or 1
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    workers = min(workers or num_cores, len(pairs))
    num_threads = max(1, num_cores // workers)
    jobs = [Job(*pair, settings, num_threads, overwrite) for pair in pairs]
    with _Board(jobs) as board:
        if workers == 1:  # a process takes seconds to start
            for job in jobs:
                board.end(job, _attempt(job, partial(board.show, job)))
        else:
            _run_in_children(jobs, workers, board)
    made = [board.results[job.video] for job in jobs]
    return MadeProxies(
        [result for result in made if isinstance(result, Proxy)],
        {job.video: res for job, res in zip(jobs, made, strict=True) if isinstance(res, str)},
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
        What is wrong, by path; nothing if all are whole.
    """
    failed: dict[str, str] = {}
    for path in map(Path, paths):
        names = [file.path for file in find_files(path, [PROXY_SUFFIX])] if path.is_dir() else ['']
        for file in [str(path / name) for name in names]:
            try:
                verify_pack(file)
            except VideoError as error:
                failed[file] = str(error)
    return failed


class _Board:
    """What is done, drawn as one bar; videos count by their bytes."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.results: dict[str, Proxy | str] = {}
        self._sizes = {job.video: os.path.getsize(job.video) for job in jobs}
        self._done = dict.fromkeys(self._sizes, 0.0)
        self._bar = ProgressBar('proxies', max(1, sum(self._sizes.values())))
        self._lock = Lock()

    def __enter__(self) -> '_Board':
        self._bar.open()
        return self

    def __exit__(self, *exc_info) -> None:
        self._bar.close()

    def show(self, job: Job, share: float, note: str) -> None:
        with self._lock:
            self._done[job.video] = share
            done = sum(size * self._done[video] for video, size in self._sizes.items())
            self._bar.update(
                done, f'{len(self.results)}/{len(self._sizes)}, {Path(job.video).name}: {note}'
            )

    def end(self, job: Job, result: Proxy | str) -> None:
        with self._lock:
            self.results[job.video] = result
        self.show(job, 1.0, 'failed' if isinstance(result, str) else 'done')


def _run_in_children(jobs: Sequence[Job], workers: int, board: _Board) -> None:
    queue: SimpleQueue[Job] = SimpleQueue()
    for job in jobs:
        queue.put(job)
    pool = ThreadPoolExecutor(workers)
    try:
        for served in [pool.submit(_serve, queue, board) for _ in range(workers)]:
            served.result()
    except BaseException:
        while not queue.empty():
            queue.get()
        raise
    finally:
        pool.shutdown()


def _serve(queue: 'SimpleQueue[Job]', board: _Board) -> None:
    """Let one child process after another job; a new one where it died."""
    child: _Child | None = None
    while True:
        try:
            job = queue.get_nowait()
        except Empty:
            break
        child = child or _Child()
        result = child.run(job, board)
        board.end(job, result if result is not None else child.obituary())
        child = child if result is not None else None
    if child:
        child.end()


class _Child:
    """A process that makes proxies one after another.

    Not forked: this process has threads.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context('spawn')
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def run(self, job: Job, board: _Board) -> Proxy | str | None:
        """The proxy, or why there is none; None if the process died."""
        try:
            self._pipe.send(job)
            while True:
                kind, *content = self._pipe.recv()
                if kind == 'done':
                    return content[0]
                board.show(job, *content)
        except (EOFError, ConnectionError):
            return None

    def obituary(self) -> str:
        self._process.join()
        code = self._process.exitcode or 0
        how = f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'
        return f'the process died ({how}; out of memory?). The same command goes on from there'

    def end(self) -> None:
        self._pipe.close()
        self._process.join()


def _work(pipe: Any) -> None:
    """What the child does; it ends with its parent, at the next message it has for it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    last = 0.0

    def tell(share: float, note: str) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_MESSAGES:
            last = time.monotonic()
            pipe.send(('progress', share, note))

    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(('done', _attempt(job, tell)))
        except BrokenPipeError:
            return


def _attempt(job: Job, progress: Progress) -> Proxy | str:
    """The proxy, or why there is none."""
    try:
        return make_proxy(*job, progress)
    except BrokenPipeError:  # nobody is there to tell it
        raise
    except (OSError, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__
