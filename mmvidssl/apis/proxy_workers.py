"""Making proxies in several processes at once."""

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

from mmvidssl.utils.progress_bar import ProgressBar

from .make_proxy import Progress, Proxy, ProxySettings, make_proxy

SECONDS_BETWEEN_MESSAGES = 0.2
SECONDS_TO_DIE = 10.0  # of a killed process; one that waits for a disk within the kernel stays
STALL_SECONDS = 4 * 3600.0
"""Without a message, after which a process is killed. To find the frames of a video all of it is
read without one: 25 s of an hour of 4K at 440 MB/s, two hours of three of them at 5 MB/s."""


class Job(NamedTuple):
    """A video and its proxy: the arguments of :func:`make_proxy`."""

    video: str
    path: str
    settings: ProxySettings
    num_threads: int
    overwrite: bool


def run_jobs(jobs: Sequence[Job], workers: int) -> list[Proxy | str]:
    """Do all jobs, ``workers`` at a time; a proxy or why there is none for each, in order.

    A single worker is this process: another takes seconds to start.
    """
    with _Board(jobs) as board:
        if workers == 1:
            for job in jobs:
                board.end(job, _attempt(job, partial(board.show, job)))
        else:
            _run_in_children(jobs, workers, board)
    return [board.results[job.path] for job in jobs]


class _Board:
    """What is done, drawn as one bar; videos count by their bytes."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.results: dict[str, Proxy | str] = {}
        self._sizes = {job.path: os.path.getsize(job.video) for job in jobs}
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
            self._done[job.path] = share
            done = sum(size * self._done[path] for path, size in self._sizes.items())
            self._bar.update(
                done, f'{len(self.results)}/{len(self._sizes)}, {Path(job.video).name}: {note}'
            )

    def end(self, job: Job, result: Proxy | str) -> None:
        with self._lock:
            self.results[job.path] = result
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
        self._has_stalled = False
        other.close()

    def run(self, job: Job, board: _Board) -> Proxy | str | None:
        """The proxy, or why there is none; None if the process died, or was killed for stalling."""
        try:
            self._pipe.send(job)
            while True:
                if not self._pipe.poll(STALL_SECONDS):
                    self._has_stalled = True
                    self._process.kill()
                    return None
                kind, *content = self._pipe.recv()
                if kind == 'done':
                    return content[0]
                board.show(job, *content)
        except (EOFError, ConnectionError):
            return None

    def obituary(self) -> str:
        self._process.join(timeout=SECONDS_TO_DIE)
        if self._process.is_alive():  # or the end of ours would wait for its end
            multiprocessing.process._children.discard(self._process)  # type: ignore[attr-defined]
        if self._has_stalled:
            return (
                f'nothing came of it for {STALL_SECONDS:.0f} s, so that its process was killed: '
                'its disk stalls, or the video hangs the decoder. The same command tries again'
            )
        code = self._process.exitcode or 0
        how = f'exit code {code}' if code >= 0 else f'signal {signal.Signals(-code).name}'
        why = ', as when memory is short' if how.endswith('SIGKILL') else ''
        return f'the process died ({how}{why}). The same command goes on from there'

    def end(self) -> None:
        self._pipe.close()
        self._process.join()


def _work(pipe: Any) -> None:
    """What the child does; it ends with its parent, at the next message it has for it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not if it is ignored
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
        except ConnectionError:
            return


def _attempt(job: Job, progress: Progress) -> Proxy | str:
    """The proxy, or why there is none."""
    try:
        return make_proxy(*job, progress)
    except ConnectionError:  # nobody is there to tell it
        raise
    except (OSError, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__
