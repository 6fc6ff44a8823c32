"""One page that tells whether a run is good."""

from .run import Run, read_checkpoint, read_work_dir
from .verdict import Finding, judge
from .write import write_report

__all__ = ['Finding', 'Run', 'judge', 'read_checkpoint', 'read_work_dir', 'write_report']
