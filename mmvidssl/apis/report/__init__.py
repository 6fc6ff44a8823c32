"""The report: one HTML page that tells whether runs are healthy."""

from .run import Run, read_checkpoint, read_runs
from .verdict import Finding, judge
from .write import write_report

__all__ = ['Finding', 'Run', 'judge', 'read_checkpoint', 'read_runs', 'write_report']
