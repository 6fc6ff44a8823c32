"""Helpers of the benchmarks: options, subprocesses, memory and ratios."""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # for tests, projects and tools, which are not installed
READERS = ('PyAVReader', 'DecordReader', 'TorchCodecReader')


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """Argument parser whose help has a script's docstring and the defaults."""
    return argparse.ArgumentParser(description=doc, formatter_class=_Formatter)


def installed_readers() -> list[str]:
    """Names of readers, without TorchCodecReader if torchcodec or its FFmpeg is missing."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError):
        return [name for name in READERS if name != 'TorchCodecReader']
    return list(READERS)


def call_again(*options: object) -> dict:
    """Run this script in a subprocess with more options; return the JSON that it prints."""
    command = [sys.executable, *sys.argv, *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)  # it has said why
    return json.loads(done.stdout)


def median_ratio(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """Median of ``ours / theirs`` over pairs of runs that took turns."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def peak_mib() -> float:
    """The most memory that this process has held so far, or since :func:`reset_peak`."""
    try:
        return _read_mib('/proc/self/status', 'VmHWM')
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def reset_peak() -> None:
    """Reset the peak that :func:`peak_mib` returns, on Linux."""
    clear_refs = Path('/proc/self/clear_refs')
    if clear_refs.exists():
        clear_refs.write_text('5')


def memory_with_children(pid: int, kind: str = 'Pss') -> float | None:
    """Memory in MiB of a process and its descendants, shared pages counted in proportion.

    None where ``/proc`` does not tell, or the process is gone.

    Args:
        pid: The process.
        kind: 'Pss', or 'Pss_Anon' for allocated memory only: without the pages of libraries and
            files, whose share depends on which other processes use them.
    """
    try:
        own = _read_mib(f'/proc/{pid}/smaps_rollup', kind)
        children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    except OSError:
        return None
    return own + sum(memory_with_children(int(child), kind) or 0.0 for child in children)


def _read_mib(path: str, key: str) -> float:
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f'{key}:')) / 2**10
