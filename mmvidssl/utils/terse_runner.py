"""A runner for the command line: what it prints fits a screen."""

import logging

from mmengine.logging import MMLogger
from mmengine.runner import Runner

MAX_LINES = 12


class TerseRunner(Runner):
    """MMEngine's runner that prints long messages (environment, config, hooks) as one line each.

    Its log file has them whole; warnings and errors are printed whole too.
    """

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """As MMEngine does, with short messages on the screen."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setFormatter(_FirstLine(handler.formatter, logger.log_file))
        return logger


class _FirstLine(logging.Formatter):
    """Formatter that shortens another's text, where it has many lines, to the first two."""

    def __init__(self, formatter: logging.Formatter, log_file: str | None) -> None:
        super().__init__()
        self.inner, self.log_file = formatter, log_file

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        text = self.inner.format(record)
        lines = text.splitlines()
        if len(lines) <= MAX_LINES or record.levelno >= logging.WARNING:
            return text
        words = [line.strip() for line in lines if line.strip(' -')]
        return f'{" ".join(words[:2])} ... ({len(lines)} lines, see {self.log_file})'
