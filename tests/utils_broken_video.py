"""Readers that misbehave, and ways to break a file."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmvidssl.datasets.readers import PyAVReader
from tests.utils_video import write_video


class PlainReader:
    """Ten grey frames out of any file, or out of none."""

    def __init__(self, path: str) -> None:
        self.path = path

    num_frames, fps = 10, 10.0

    @property
    def timestamps(self) -> np.ndarray:
        return np.arange(10) / 10

    def get_frames(self, indices=None, short_side=None, times=None) -> np.ndarray:
        return np.full((len(indices), 64, 64, 3), indices[0], np.uint8)

    def close(self) -> None:
        pass


class MisbehavingReader(PlainReader):
    """The number of the first frame that is asked for says how."""

    SLEEP, SEGFAULT, EXIT, UNKNOWN, BUG, MEMORY, BIG, STOPPED = range(100, 108)

    def get_frames(self, indices=None, short_side=None, times=None) -> np.ndarray:
        what = int(indices[0])
        if what == self.SLEEP:
            time.sleep(600)
        elif what == self.SEGFAULT:
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # not pytest's, which prints a stack
            os.kill(os.getpid(), signal.SIGSEGV)
        elif what == self.EXIT:
            os._exit(3)
        elif what == self.UNKNOWN:
            raise type('CodecError', (Exception,), {})('bad block')
        elif what == self.BUG:
            raise KeyError('oops')
        elif what == self.MEMORY:
            raise MemoryError('1 TiB')
        elif what == self.BIG:
            return np.ones((40, 500, 500, 3), np.uint8)
        return super().get_frames(indices)


class StallingReader(PyAVReader):
    """Stalls, as a lost disk does, for files with 'stall' in their name."""

    def _build(self):
        if 'stall' in Path(self.path).name:
            time.sleep(600)
        return super()._build()


class CrashingReader(PyAVReader):
    """Dies of files with 'crash' in their name."""

    def _build(self):
        if 'crash' in Path(self.path).name:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._build()


class OpeningReader(PlainReader):
    """Opens its file without a look at what it is."""

    def get_frames(self, indices=None, short_side=None, times=None) -> np.ndarray:
        Path(self.path).read_bytes()
        return super().get_frames(indices)


READERS = (PlainReader, MisbehavingReader, StallingReader, CrashingReader, OpeningReader)


def _cut(share: float) -> Callable[[Path, Path], None]:
    return lambda whole, path: path.write_bytes(
        whole.read_bytes()[: int(share * whole.stat().st_size)]
    )


def _zero_blocks(whole: Path, path: Path) -> None:
    data = bytearray(whole.read_bytes())
    for start in range(len(data) // 4, len(data) * 3 // 4, len(data) // 10):
        data[start : start + len(data) // 20] = bytes(len(data) // 20)
    path.write_bytes(data)


def _without_moov(whole: Path, path: Path) -> None:
    path.write_bytes(whole.read_bytes().replace(b'moov', b'junk'))  # FFmpeg looks into 'free'


def _audio_only(whole: Path, path: Path) -> None:
    import av

    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream('aac', rate=8000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _no_frames(whole: Path, path: Path) -> None:
    """A stream that is declared, and has no frame."""
    import av

    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, 'yuv420p'
        container.start_encoding()


# What writes a broken copy of a whole video.
BREAKAGES: dict[str, Callable[[Path, Path], None]] = {
    'empty': lambda whole, path: path.touch(),
    'text': lambda whole, path: path.write_text('no video\n' * 500),
    'cut at 10 %': _cut(0.1),
    'cut at 50 %': _cut(0.5),
    'cut at 70 %': _cut(0.7),
    'cut at 99 %': _cut(0.99),
    'moov missing': _without_moov,
    'zeroed blocks': _zero_blocks,
    'audio only': _audio_only,
    'no frames': _no_frames,
    'a folder': lambda whole, path: path.mkdir(),
    'a FIFO': lambda whole, path: os.mkfifo(path),
    'a link to nothing': lambda whole, path: path.symlink_to('nowhere.mp4'),
}
# What is unusual, but not broken.
ODDITIES: dict[str, Callable[[Path, Path], object]] = {
    'wrong extension': lambda whole, path: shutil.copy(write_mkv(whole), path),
    'one frame': lambda whole, path: write_video(path, num_frames=1),
    'shorter than a clip': lambda whole, path: write_video(path, num_frames=2),
}


def write_mkv(whole: Path) -> Path:
    """A Matroska file beside ``whole``."""
    return write_video(whole.with_suffix('.mkv'), num_frames=20)


@contextmanager
def public_folder() -> Iterator[Path]:
    """An empty folder that everyone may read; pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def run_as_nobody(code: str) -> str:
    """What a script prints as a user without rights (root may read everything).

    What it imports before ``become_nobody()`` is there also where he may not look.
    """
    start = 'import os\ndef become_nobody():\n    os.getuid() or os.setuid(65534)\n'
    command = [sys.executable, '-c', start + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
