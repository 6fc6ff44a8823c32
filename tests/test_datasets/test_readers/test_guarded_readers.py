import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mmvidssl.datasets.readers import (
    DecoderDiedError,
    DecodeTimeoutError,
    EmptyVideoError,
    GuardedReaders,
    ReaderCache,
    UndecodableVideoError,
    VideoChangedError,
    VideoError,
    VideoNotFoundError,
    build_readers,
)
from mmvidssl.datasets.readers.guarded.server import known_error
from mmvidssl.registry import VIDEO_READERS
from tests.utils_broken_video import READERS, MisbehavingReader
from tests.utils_video import write_video

DECORD = dict(type='DecordReader')
ODD = dict(type='MisbehavingReader')
SOON = 1.0  # seconds
SLEEP = MisbehavingReader.SLEEP


@pytest.fixture(autouse=True)
def odd_readers(monkeypatch):
    for reader in READERS:
        monkeypatch.setitem(VIDEO_READERS._module_dict, reader.__name__, reader)


@pytest.fixture
def readers():
    readers = GuardedReaders(timeout=60)
    yield readers
    readers.close()


def all_children() -> set[int]:
    with open(f'/proc/self/task/{os.getpid()}/children') as file:
        return set(map(int, file.read().split()))


EARLIER: set[int] = set()


@pytest.fixture(autouse=True)
def earlier_children():
    """Decoders of data sets that other tests hold are none of our business."""
    EARLIER.clear()
    EARLIER.update(all_children())


def children() -> list[int]:
    """Processes that a test started and that are not gone, zombies included."""
    return sorted(all_children() - EARLIER)


def ask(readers, what, path='a'):
    return readers.get(path, ODD).get_frames(np.array([what]))


def wait_until(is_true, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] == 'Z'  # of a parent that is not us
    except FileNotFoundError:
        return True


@pytest.mark.parametrize('short_side', [None, 32])
def test_gives_what_a_reader_in_this_process_gives(readers, video, short_side):
    here, there = (cache.get(str(video), DECORD) for cache in (ReaderCache(), readers))
    assert (there.num_frames, there.fps) == (here.num_frames, here.fps)
    np.testing.assert_array_equal(there.timestamps, here.timestamps)
    inds = np.array([99, 3, 3, 50])
    frames = there.get_frames(inds, short_side)
    np.testing.assert_array_equal(frames, here.get_frames(inds, short_side))
    assert frames.dtype == np.uint8 and frames.flags.writeable


def test_keeps_no_more_videos_open_than_it_may(tmp_path):
    readers = GuardedReaders(max_open=1, timeout=60)
    paths = [str(write_video(tmp_path / f'{name}.mp4', num_frames=5)) for name in 'ab']
    for path in paths:
        readers.get(path, dict(type='PyAVReader')).get_frames(np.array([0]))
    folder = Path(f'/proc/{readers._decoder.pid}/fd')
    opened = [os.readlink(file) for file in folder.iterdir()]
    assert [path for path in paths if path in opened] == paths[1:]
    readers.close()


def test_errors_come_back_as_themselves(readers, video, tmp_path):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video\n' * 50)
    with pytest.raises(VideoNotFoundError, match='gone'):
        readers.get(str(tmp_path / 'gone.mp4'), DECORD)
    with pytest.raises(EmptyVideoError, match='empty'):
        readers.get(str(tmp_path / 'empty.mp4'), DECORD)
    with pytest.raises(UndecodableVideoError, match=r'text\.mp4'):
        _ = readers.get(str(tmp_path / 'text.mp4'), DECORD).num_frames
    with pytest.raises(IndexError, match=r'0\.\.99') as caught:
        readers.get(str(video), DECORD).get_frames(np.array([100]))
    assert 'check_frame_inds' in str(caught.value.__cause__)  # where it was raised
    with pytest.raises(KeyError) as caught:
        ask(readers, MisbehavingReader.BUG)
    assert caught.value.args == ('oops',)
    with pytest.raises(KeyError, match='NoReader'):
        readers.get('a', dict(type='NoReader'))
    assert len(children()) == 1


@pytest.mark.parametrize(
    'what, message', [('UNKNOWN', 'CodecError: bad block'), ('MEMORY', 'MemoryError: 1 TiB')]
)
def test_what_only_a_decoder_raises_is_the_files_fault(readers, what, message):
    with pytest.raises(VideoError, match=message) as caught:
        ask(readers, getattr(MisbehavingReader, what), path='film')
    assert type(caught.value) is VideoError and 'film' in str(caught.value)


@pytest.mark.parametrize(
    'error, kind',
    [
        (UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'bad title'), VideoError),
        (OverflowError('size'), VideoError),
        (ValueError('mistake', lambda: 0), ValueError),  # cannot be pickled as it is
    ],
)
def test_a_files_fault_and_a_mistake(error, kind):
    known = pickle.loads(pickle.dumps(known_error(error, 'film')))
    assert type(known) is kind and str(error) in str(known)


def test_a_stall_ends_at_the_deadline_and_the_next_request_is_served():
    readers = GuardedReaders(timeout=SOON)
    started = time.monotonic()
    with pytest.raises(DecodeTimeoutError, match='film.*timeout=1'):
        ask(readers, MisbehavingReader.SLEEP, 'film')
    assert SOON <= time.monotonic() - started < SOON + 5
    assert children() == []
    assert ask(readers, 7)[0, 0, 0, 0] == 7
    readers.close()
    assert children() == []


def test_a_stall_in_the_middle_of_an_array_ends_too(monkeypatch):
    """The first bytes come, then the child stops."""
    readers = GuardedReaders(timeout=SOON)
    assert ask(readers, MisbehavingReader.BIG).shape == (40, 500, 500, 3)
    child, read, sizes = readers._decoder.pid, os.readv, []

    def read_and_stop(descriptor, buffers):
        sizes.append(read(descriptor, [buffers[0][:1000]]))
        os.kill(child, signal.SIGSTOP)
        return sizes[-1]

    monkeypatch.setattr(os, 'readv', read_and_stop)
    with pytest.raises(DecodeTimeoutError):
        ask(readers, MisbehavingReader.BIG)
    assert sizes[0] == 1000 and children() == []


@pytest.mark.parametrize('what, how', [('SEGFAULT', 'SIGSEGV'), ('EXIT', 'status 3')])
def test_a_crash_is_an_error_and_the_next_request_is_served(readers, what, how):
    with pytest.raises(DecoderDiedError, match=f'film.*{how}'):
        ask(readers, getattr(MisbehavingReader, what), 'film')
    assert children() == []
    assert ask(readers, 7)[0, 0, 0, 0] == 7


def test_a_decoder_killed_from_outside(readers):
    ask(readers, 7)
    os.kill(readers._decoder.pid, signal.SIGKILL)
    with pytest.raises(DecoderDiedError, match='SIGKILL.*memory'):
        ask(readers, 7)
    assert ask(readers, 7)[0, 0, 0, 0] == 7
    assert len(children()) == 1


def test_an_interrupted_request_leaves_no_answer_behind(readers):
    def interrupt(*args):
        raise KeyboardInterrupt

    ask(readers, 1)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(readers, MisbehavingReader.SLEEP)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ask(readers, 5)[0, 0, 0, 0] == 5


def test_a_ctrl_c_is_the_parents_affair(readers):
    ask(readers, 1)
    os.kill(readers._decoder.pid, signal.SIGINT)
    time.sleep(0.1)
    assert ask(readers, 5)[0, 0, 0, 0] == 5


def test_a_pipe_in_place_of_a_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    readers = GuardedReaders(timeout=SOON)
    with pytest.raises(VideoError, match='must be a file'):
        readers.get(str(tmp_path / 'pipe.mp4'), DECORD)
    with pytest.raises(DecodeTimeoutError, match=r'pipe\.mp4'):
        readers.get(str(tmp_path / 'pipe.mp4'), dict(type='OpeningReader')).get_frames([0])
    assert children() == []


def test_a_file_replaced_or_deleted_while_in_use(readers, tmp_path):
    path = write_video(tmp_path / 'v.mp4', num_frames=30)
    reader = readers.get(str(path), DECORD)
    reader.get_frames(np.array([29]))
    write_video(path, num_frames=20)
    with pytest.raises(VideoChangedError, match=r'v\.mp4'):
        reader.get_frames(np.array([0]))
    again = readers.get(str(path), DECORD)
    assert again.num_frames == 20
    path.unlink()
    with pytest.raises(VideoNotFoundError, match=r'v\.mp4'):
        again.get_frames(np.array([0]))
    assert len(children()) == 1


def test_close_and_garbage_collection_leave_no_process(video):
    first, second = GuardedReaders(), GuardedReaders()
    for readers in (first, second):
        readers.get(str(video), DECORD).get_frames(np.array([0]))
    assert len(children()) == 2
    first.close()
    assert len(children()) == 1
    del second, readers
    gc.collect()
    assert children() == []


def test_a_forked_process_has_a_decoder_of_its_own(readers):
    ask(readers, 1)
    ours = children()
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            first = int(ask(readers, 5)[0, 0, 0, 0])
            os.write(send, f'{first} {len(children())}'.encode())
            readers.close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(receive, 100).decode() == '5 1'
    assert ask(readers, 7)[0, 0, 0, 0] == 7 and children() == ours


def test_pickles_without_its_decoder(readers):
    ask(readers, 1)
    copied = pickle.loads(pickle.dumps(readers))
    assert (copied.max_open, copied.timeout, copied._decoder) == (4, 60, None)
    assert ask(copied, 7)[0, 0, 0, 0] == 7
    copied.close()


def test_holds_no_pipe_of_its_parent_open(readers):
    receive, send = os.pipe()
    ask(readers, 1)
    os.close(send)
    os.set_blocking(receive, False)
    assert os.read(receive, 1) == b''  # the end; with a writer left it would raise
    os.close(receive)


def test_threads_share_it(readers):
    wrong = []

    def use(number):
        for _ in range(50):
            if ask(readers, number)[0, 0, 0, 0] != number:
                wrong.append(number)

    ask(readers, 0)
    threads = [threading.Thread(target=use, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_that_share_a_decoder_that_fails():
    """Each meets an error of a video, or its frames: never a half closed pipe."""
    readers, met = GuardedReaders(timeout=0.3), []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def use(what):
        try:
            ask(readers, what)
        except Exception as error:
            met.append(error)

    try:
        for _ in range(5):
            threads = [threading.Thread(target=use, args=(what,)) for what in (SLEEP, 1, 2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
        readers.close()
    assert met and all(isinstance(error, VideoError) for error in met)


PARENT = """
    import sys, threading, time
    import numpy as np
    from mmvidssl.datasets.readers import GuardedReaders

    cfg, ours, theirs = dict(type='PyAVReader'), GuardedReaders(), GuardedReaders()
    thread = threading.Thread(target=theirs.get, args=(sys.argv[1], cfg))
    thread.start()
    thread.join()
    for readers in (ours, theirs):  # the second decoder outlives the thread that started it
        readers.get(sys.argv[1], cfg).get_frames(np.array([0]))
    print(ours._decoder.pid, theirs._decoder.pid, flush=True)
    time.sleep(600 if sys.argv[2] == 'kill' else 0)
"""


@pytest.mark.parametrize('ending', ['kill', 'exit'])
def test_ends_with_its_parent(video, ending):
    parent = subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(PARENT), str(video), ending],
        stdout=subprocess.PIPE,
        text=True,
    )
    decoders = [int(number) for number in parent.stdout.readline().split()]
    assert len(decoders) == 2
    if ending == 'kill':
        assert not any(map(is_gone, decoders))
        parent.kill()
    assert parent.wait(60) == (-signal.SIGKILL if ending == 'kill' else 0)
    wait_until(lambda: all(map(is_gone, decoders)))


def test_without_a_deadline_it_is_a_cache():
    assert type(build_readers(3, None)) is ReaderCache
    assert build_readers(3, 5).timeout == 5
    for timeout in (0, -1, float('nan')):
        with pytest.raises(ValueError, match='timeout'):
            build_readers(3, timeout)
