"""One progress bar for the tools and the training hook."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar:
    """A bar with the time left on a terminal, one line every few seconds anywhere else.

    Args:
        title: What is being done, in two or three words.
        total: Amount of work, in whatever unit :meth:`update` counts.
        console: Where to draw; standard output by default.
        line_every: Seconds between two lines when the output is not a terminal.
    """

    def __init__(
        self,
        title: str,
        total: float,
        console: Console | None = None,
        line_every: float = 10.0,
    ) -> None:
        self.title, self.total, self.done = title, total, 0.0
        self.note = ''
        self.console = console or Console()
        self.line_every = line_every
        self.started = self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.percentage:>3.0f}%'),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            TextColumn('{task.fields[note]}'),
            console=self.console,
        )
        self._task = self._progress.add_task(title, total=total, note='')

    def __enter__(self) -> 'ProgressBar':
        self.open()
        return self

    def __exit__(self, exc_type, *exc_info) -> None:
        if exc_type is None:  # less was to do than announced
            self.update(self.total, self.note)
        self.close()

    def open(self) -> None:
        """Start drawing."""
        if self.console.is_terminal:
            self._progress.start()

    def close(self) -> None:
        """Stop drawing and leave the last state on the screen."""
        if self.console.is_terminal:
            self._progress.stop()
        else:
            self._print_line()

    def update(self, done: float, note: str = '') -> None:
        """Set how much is done, and a remark to the right of the bar."""
        self.done, self.note = min(done, self.total), note
        if self.console.is_terminal:
            self._progress.update(self._task, completed=self.done, note=note)
        elif time.monotonic() - self._last_line >= self.line_every:
            self._print_line()

    def _print_line(self) -> None:
        now = time.monotonic()
        elapsed = now - self.started
        left = elapsed * (self.total - self.done) / self.done if self.done else float('nan')
        share = self.done / self.total if self.total else 1.0
        self.console.print(
            f'{self.title} {share:4.0%}, {elapsed:.0f} s, {left:.0f} s left  {self.note}'.rstrip(),
            highlight=False,
            soft_wrap=True,
        )
        self._last_line = now
