"""Every kind of broken file, through the data sets and real workers: nothing hangs or crashes."""

import os
import signal
import time

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.datasets import ClipIndex, LongVideoDataset, VideoListDataset
from mmvidssl.datasets.readers import GuardedReaders, VideoError, probe_video
from mmvidssl.registry import VIDEO_READERS
from tests.utils_broken_video import BREAKAGES, ODDITIES, run_as_nobody
from tests.utils_broken_video import READERS as ODD_READERS
from tests.utils_video import read_frame_number, write_video

BACKENDS = [
    name
    for name in ('DecordReader', 'PyAVReader', 'TorchCodecReader')
    if name in VIDEO_READERS.module_dict
]
CLIP = dict(type='SampleClip', clip_len=4, frame_interval=2, timeout=30)
PACK = dict(type='PackClipInputs')


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


def failures_of(samples):
    return [failure for s in samples for failure in s.metainfo.get('decode_failures', [])]


@pytest.mark.parametrize('moov', ['end', 'start'])
@pytest.mark.parametrize('breakage', BREAKAGES)
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
    samples = samples_of(loader_of(dataset))
    assert len(samples) == 6
    failures = failures_of(samples)
    assert {failure['path'] for failure in failures} <= {str(broken)}
    assert all('broken.mp4' in failure['reason'] for failure in failures)
    # Some backends read what is left of a damaged file; none reads the others.
    if breakage not in ('cut at 50 %', 'cut at 70 %', 'cut at 99 %', 'zeroed blocks'):
        assert failures

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
        assert len(info.timestamps) > 1
    readers.close()


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
    with pytest.raises(ValueError, match=r'odd\.mp4 lasts .* too short'):
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


@pytest.mark.parametrize('suffix', ['.mp4', '.frames'])
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
    path = tmp_path / 'stall.mp4'
    path.write_bytes(video.read_bytes())
    started = time.monotonic()
    with pytest.raises(VideoError, match=r'stall\.mp4 gave no answer'):
        LongVideoDataset(videos=[str(path)], reader=dict(type='StallingReader'), timeout=1.5)
    assert time.monotonic() - started < 15


def descendants(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/children') as file:
            for child in map(int, file.read().split()):
                found += [child, *descendants(child)]
    return found


def test_a_killed_decoder_costs_one_retry(video):
    dataset = long_dataset(video)
    iterator = iter(loader_of(dataset, num_samples=80))
    batches = [next(iterator)]
    workers = [worker.pid for worker in iterator._workers]
    for worker in workers:
        for decoder in descendants(worker):
            os.kill(decoder, signal.SIGKILL)
    batches += iterator
    assert len(batches) == 40
    failures = failures_of([sample for batch in batches for sample in batch['data_samples']])
    assert 0 < len(failures) <= 4 and not any(failure['replaced'] for failure in failures)
    assert all('DecoderDiedError' in failure['reason'] for failure in failures)


def test_a_killed_worker_ends_the_run_and_leaves_no_process(video):
    before = set(descendants(os.getpid()))  # multiprocessing's own, of other tests
    iterator = iter(loader_of(long_dataset(video), num_samples=4000, prefetch_factor=1))
    next(iterator)
    started = set(descendants(os.getpid())) - before
    assert len(started) == 4  # two workers with a decoder each
    os.kill(iterator._workers[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match='worker .*(killed by signal|exited unexpectedly)'):
        for _ in iterator:
            pass
    del iterator
    deadline = time.monotonic() + 20
    while started & set(descendants(os.getpid())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not started & set(descendants(os.getpid()))


def test_workers_leave_no_process_and_end_at_once(video):
    dataset = long_dataset(video)
    before = set(descendants(os.getpid()))
    iterator = iter(loader_of(dataset, num_samples=8, persistent_workers=True))
    assert len(list(iterator)) == 4
    started = set(descendants(os.getpid())) - before
    assert len(started) == 4
    begin = time.monotonic()
    iterator._shutdown_workers()
    assert time.monotonic() - begin < 4  # a pipe held open would make it wait 5 s a worker
    assert not started & set(descendants(os.getpid()))


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
