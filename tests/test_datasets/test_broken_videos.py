"""Every kind of broken file, through the data sets and real workers: nothing hangs or crashes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets import ClipIndex, LongVideoDataset, VideoListDataset, broken_samples
from mmvidssl.datasets.readers import (
    GuardedReaders,
    PyAVReader,
    UndecodableVideoError,
    VideoError,
    probe_video,
)
from mmvidssl.registry import VIDEO_READERS
from tests.utils_broken_video import BREAKAGES, ODDITIES, run_as_nobody
from tests.utils_broken_video import READERS as ODD_READERS
from tests.utils_video import read_frame_number, torchcodec_works, write_video

BACKENDS = [
    name
    for name in ('DecordReader', 'PyAVReader', 'TorchCodecReader')
    if name != 'TorchCodecReader' or torchcodec_works()
]
# Where the tables are matters only for what is cut or overwritten.
BROKEN = [
    (breakage, moov)
    for breakage in BREAKAGES
    for moov in ('end', 'start')
    if moov == 'end' or breakage.startswith(('cut', 'zeroed'))
]
# With blocks zeroed, these give frame 12 of 'end' as a copy of frame 11: FFmpeg conceals it, and
# their interfaces do not tell.
CONCEALING = ('DecordReader', 'TorchCodecReader')
CLIP = dict(type='SampleClip', clip_len=4, frame_interval=2, timeout=30)
PACK = dict(type='PackClipInputs')


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """What may pass does not pass here."""
    monkeypatch.setattr(broken_samples, 'RETRY_PAUSE', 0.0)


@pytest.fixture(autouse=True)
def odd_readers(monkeypatch):
    for reader in ODD_READERS:
        monkeypatch.setitem(VIDEO_READERS._module_dict, reader.__name__, reader)


@pytest.fixture(scope='module')
def wholes(tmp_path_factory):
    """The same video with its tables at the end, and at the start."""
    folder = tmp_path_factory.mktemp('wholes')
    end = write_video(folder / 'end.mp4', num_frames=60, size=(96, 128))
    start = folder / 'start.mp4'
    import av

    with av.open(str(end)) as source:
        target = av.open(str(start), 'w', container_options={'movflags': 'faststart'})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
        target.close()
    assert start.read_bytes().index(b'moov') < start.read_bytes().index(b'mdat')
    return dict(end=end, start=start)


def loader_of(dataset, num_samples=None, batch_size=2, **kwargs):
    order = [
        ClipIndex(i % len(dataset), i // len(dataset)) for i in range(num_samples or len(dataset))
    ]
    return DataLoader(
        dataset,
        batch_size,
        sampler=order,
        num_workers=2,
        multiprocessing_context='fork',
        collate_fn=pseudo_collate,
        **kwargs,
    )


def folder_of(tmp_path, whole, num=5):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for i in range(num):
        (folder / f'good{i}.mp4').write_bytes(whole.read_bytes())
    return folder


def samples_of(loader):
    return [sample for batch in loader for sample in batch['data_samples']]


def numbers_of(clip):
    return [read_frame_number(frame) for frame in clip.permute(1, 2, 3, 0).numpy()]


def failures_of(samples):
    return [failure for s in samples for failure in s.metainfo.get('decode_failures', [])]


@pytest.mark.parametrize('breakage, moov', BROKEN)
@pytest.mark.parametrize('backend', BACKENDS)
def test_broken_file(tmp_path, wholes, backend, breakage, moov):
    folder = folder_of(tmp_path, wholes[moov])
    broken = folder / 'broken.mp4'
    BREAKAGES[breakage](wholes[moov], broken)
    reader = dict(type=backend)
    (tmp_path / 'list.txt').write_text('\n'.join(p.name for p in sorted(folder.iterdir())))
    dataset = VideoListDataset(
        '../list.txt', str(folder), reader=reader, pipeline=[CLIP, PACK], seed=0
    )
    samples = []
    for batch in loader_of(dataset):
        samples += batch['data_samples']
        for sample, clip in zip(batch['data_samples'], batch['inputs']['clip'], strict=True):
            if sample.video_path != str(broken) or backend not in CONCEALING:
                assert numbers_of(clip) == sample.frame_inds
    assert len(samples) == 6
    failures = failures_of(samples)
    assert {failure['path'] for failure in failures} <= {str(broken)}
    assert all('broken.mp4' in failure['reason'] for failure in failures)
    # Only of a file with damaged blocks something is read, if the clip lies between them.
    is_replaced = any(failure['replaced'] for failure in failures)
    assert is_replaced != any(sample.video_path == str(broken) for sample in samples)
    assert is_replaced or breakage == 'zeroed blocks'

    readers = GuardedReaders(timeout=30)
    try:  # as a long video, which is looked at when the data set is built
        info = probe_video(str(broken), reader, readers)
    except VideoError as error:
        assert broken.name in str(error)
        if breakage == 'zeroed blocks':  # whether decord minds them depends on its threads
            return
        with pytest.raises(type(error), match=broken.stem):
            LongVideoDataset(videos=[str(wholes[moov]), str(broken)], clip_len=2, reader=reader)
    else:
        assert breakage == 'zeroed blocks' and len(info.timestamps) == 60
    finally:
        readers.close()


@pytest.mark.parametrize('moov', ['end', 'start'])
def test_frames_between_damaged_blocks_are_right(tmp_path, wholes, moov):
    """Every frame that comes out, read forth and back, is to the bit what it was."""
    broken = tmp_path / 'broken.mp4'
    BREAKAGES['zeroed blocks'](wholes[moov], broken)
    reader, right = PyAVReader(str(broken)), PyAVReader(str(wholes[moov])).get_frames(np.arange(60))
    assert [read_frame_number(frame) for frame in right] == list(range(60))
    num_read = 0
    for number in [*range(60), *reversed(range(60))]:
        try:
            (frame,) = reader.get_frames(np.array([number]))
        except UndecodableVideoError as error:
            assert broken.name in str(error)
        else:
            np.testing.assert_array_equal(frame, right[number])
            num_read += 1
    assert 20 <= num_read <= 100


@pytest.mark.parametrize('oddity', ODDITIES)
@pytest.mark.parametrize('backend', BACKENDS)
def test_unusual_file_is_read(tmp_path, wholes, backend, oddity):
    folder = tmp_path / 'videos'
    folder.mkdir()
    ODDITIES[oddity](tmp_path / 'whole.mp4', folder / 'odd.mp4')
    pipeline = [CLIP, PACK]
    dataset = VideoListDataset(
        data_root=str(folder), reader=dict(type=backend), pipeline=pipeline, seed=0
    )
    (sample,) = samples_of(loader_of(dataset))
    assert not failures_of([sample]) and len(sample.frame_inds) == 4
    if oddity == 'wrong extension':
        return
    with pytest.raises(ValueError, match=r'odd\.mp4'):
        LongVideoDataset(videos=[str(folder / 'odd.mp4')], clip_len=4, frame_interval=0.1)


def test_no_permission(public_path, video):
    folder = folder_of(public_path, video, num=1)
    secret = folder / 'secret.mp4'
    secret.write_bytes(video.read_bytes())
    secret.chmod(0)
    code = (
        'from mmvidssl.datasets import ClipIndex, VideoListDataset\n'
        'from mmvidssl.datasets import readers, transforms\n'
        'import decord\n'
        'become_nobody()\n'
        f'dataset = VideoListDataset(data_root={str(folder)!r}, seed=0, '
        f'pipeline=[{CLIP!r}, {PACK!r}])\n'
        "print(dataset[ClipIndex(1, 0)]['data_samples'].decode_failures)\n"
    )
    said = run_as_nobody(code)
    assert 'secret.mp4' in said and "'replaced': True" in said


def long_dataset(*videos, **kwargs):
    pipeline = [dict(type='DecodeClip', timeout=30), PACK]
    settings = dict(clip_len=2, frame_interval=0.2, seed=0, pipeline=pipeline) | kwargs
    return LongVideoDataset(videos=[str(v) for v in videos], **settings)


@pytest.mark.parametrize('suffix', ['.mp4', '.proxy.mp4'])
@pytest.mark.parametrize('deleted', [True, False])
def test_file_deleted_or_replaced_while_training(tmp_path, video, deleted, suffix):
    path, other = tmp_path / f'v{suffix}', tmp_path / f'other{suffix}'
    if suffix == '.mp4':
        path.write_bytes(video.read_bytes())
        write_video(other, num_frames=100, codec='mpeg4')
    else:
        make_proxy(video, path, ProxySettings(fps=5))
        make_proxy(video, other, ProxySettings(fps=5, short_side=32))
    dataset = long_dataset(video, path)
    loader = loader_of(dataset, num_samples=len(dataset), prefetch_factor=1)
    samples = []
    for i, batch in enumerate(loader):
        samples += batch['data_samples']
        if i == len(loader) * 3 // 4:  # both workers have it open
            if deleted:
                path.unlink()
            else:
                other.replace(path)
    assert len(samples) == len(dataset)
    failures = failures_of(samples)
    name = 'VideoNotFoundError' if deleted else 'VideoChangedError'
    assert failures and all(failure['reason'].startswith(name) for failure in failures)
    assert all(sample.video_path == str(video) for sample in samples if failures_of([sample]))
    assert failures[-1]['quarantined']


def test_replaced_before_a_worker_opened_it(tmp_path, video):
    path = tmp_path / 'v.mp4'
    path.write_bytes(video.read_bytes())
    dataset = long_dataset(video, path)
    write_video(path, num_frames=100, codec='mpeg4')
    failures = failures_of(samples_of(loader_of(dataset)))
    assert failures and failures[0]['reason'].startswith('VideoChangedError')


@pytest.mark.parametrize(
    'reader, error', [('Stalling', 'DecodeTimeoutError'), ('Crashing', 'DecoderDiedError')]
)
def test_stalling_and_crashing_files_in_workers(tmp_path, video, reader, error):
    folder = folder_of(tmp_path, video)
    (folder / 'stall-crash.mp4').write_bytes(video.read_bytes())
    dataset = VideoListDataset(
        data_root=str(folder),
        reader=dict(type=f'{reader}Reader'),
        pipeline=[dict(CLIP, timeout=1.5), PACK],
        seed=0,
    )
    samples = samples_of(loader_of(dataset))
    assert len(samples) == 6
    failures = failures_of(samples)
    assert [failure['replaced'] for failure in failures] == [True]
    assert all(failure['reason'].startswith(error) for failure in failures)


def test_a_stall_while_the_data_set_is_built_is_an_error(tmp_path, video):
    paths = [
        tmp_path / name for name in ('text.mp4', 'stall.mp4', *(f'stall{n}.mp4' for n in range(9)))
    ]
    paths[0].write_text('no video')
    for path in paths[1:]:
        path.write_bytes(video.read_bytes())
    started = time.monotonic()
    with pytest.raises(VideoError, match=r'stall\.mp4 gave no answer') as info:
        LongVideoDataset(videos=[*map(str, paths)], reader=dict(type='StallingReader'), timeout=1.5)
    assert time.monotonic() - started < 15  # it waited for one of them
    assert 'text.mp4' in str(info.value) and 'stall0' not in str(info.value)


def descendants(pid: int) -> list[int]:
    found = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children') as file:
                for child in map(int, file.read().split()):
                    found += [child, *descendants(child)]
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        pass
    return found


def is_gone(pid: int) -> bool:
    """Whether a process, of whatever parent by now, has ended."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(')')[2].split()[0] in 'ZX'


def wait_until(condition, seconds=60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def wait_for_decoders(iterator) -> tuple[list[int], list[int]]:
    """The two workers of a data loader, and their decoders, once each has one."""
    workers = [worker.pid for worker in iterator._workers]
    assert len(workers) == 2
    assert wait_until(lambda: all(len(descendants(worker)) == 1 for worker in workers))
    return workers, [decoder for worker in workers for decoder in descendants(worker)]


def open_files(pid: int) -> list[str]:
    return [os.readlink(file) for file in Path(f'/proc/{pid}/fd').iterdir()]


def test_a_killed_decoder_costs_one_retry(video):
    dataset = long_dataset(video)
    iterator = iter(loader_of(dataset, num_samples=80))
    batches = [next(iterator)]
    for decoder in wait_for_decoders(iterator)[1]:
        os.kill(decoder, signal.SIGKILL)
    batches += iterator
    assert len(batches) == 40
    failures = failures_of([sample for batch in batches for sample in batch['data_samples']])
    assert 0 < len(failures) <= 4 and not any(failure['replaced'] for failure in failures)
    assert all('DecoderDiedError' in failure['reason'] for failure in failures)


def test_a_killed_worker_ends_the_run_and_leaves_no_process(video):
    """As a script, since torch raises the error at any line once the worker is dead."""
    code = (
        'import faulthandler, os, signal\n'
        'faulthandler.dump_traceback_later(60, exit=True)\n'  # says where, should it hang
        'from tests.test_datasets.test_broken_videos import *\n'
        f'dataset = long_dataset({str(video)!r})\n'
        'iterator = iter(loader_of(dataset, num_samples=4000, prefetch_factor=1))\n'
        'next(iterator)\n'
        'workers, decoders = wait_for_decoders(iterator)\n'
        'print(*workers, *decoders, flush=True)\n'
        'os.kill(workers[0], signal.SIGKILL)\n'
        'for _ in iterator:\n'
        '    pass\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 1
    # The last is what asking it for a tensor that it has announced ends in.
    # Where torch's handler of the signal interrupts Python as it prints that, its dump names it.
    named = r'^(object type name: )?(EOFError|Connection\w+Error)'
    ends = rf'worker .*(killed by signal|exited unexpectedly)|{named}'
    assert re.search(ends, done.stderr, re.MULTILINE), done.stderr
    processes = [int(number) for number in done.stdout.splitlines()[-1].split()]
    assert len(processes) == 4
    # By number: what is orphaned is no descendant any more.
    assert wait_until(lambda: all(map(is_gone, processes)))


def test_workers_leave_no_process_and_end_at_once(video):
    dataset = long_dataset(video)
    iterator = iter(loader_of(dataset, num_samples=8, persistent_workers=True))
    assert len(list(iterator)) == 4
    workers, decoders = wait_for_decoders(iterator)
    # Whoever waits for a worker waits for its end of this pipe: 5 s where its decoder holds it too.
    for worker in iterator._workers:
        pipe = os.readlink(f'/proc/self/fd/{worker.sentinel}')
        assert pipe.startswith('pipe:') and pipe in open_files(worker.pid)
        assert not any(pipe in open_files(decoder) for decoder in decoders)
    iterator._shutdown_workers()
    assert wait_until(lambda: all(map(is_gone, workers + decoders)))


def test_guarded_samples_are_those_of_this_process(video, short_video):
    guarded, plain = (
        long_dataset(video, short_video, pipeline=[dict(type='DecodeClip', timeout=timeout)])
        for timeout in (30, None)
    )
    for index in (0, len(plain) - 1):
        first, second = (dataset[ClipIndex(index, 3)] for dataset in (guarded, plain))
        np.testing.assert_array_equal(first['clip'], second['clip'])
        assert read_frame_number(first['clip'][0]) == first['frame_inds'][0]
        assert first['rng'].random() == second['rng'].random()
