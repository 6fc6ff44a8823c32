"""Checkpoint files: what is read, what is refused, and what is written."""

import argparse
import functools
import io
import logging
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import HistoryBuffer, MessageHub, MMLogger
from mmengine.runner import load_checkpoint
from safetensors.torch import save_file
from torch import nn

from mmvidssl.engine import pack_message_hub, read_plain, read_weights, to_plain, unpack_message_hub
from mmvidssl.engine.checkpoint import UnsafeCheckpointError

WEIGHT = torch.arange(3.0)


@pytest.mark.parametrize(
    'content', [dict(state_dict=dict(a=WEIGHT), meta=dict(iter=1)), dict(a=WEIGHT)]
)
def test_reads_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / 'weights.pth')
    read = read_plain(str(tmp_path / 'weights.pth'))
    assert read['state_dict'].keys() == {'a'} and torch.equal(read['state_dict']['a'], WEIGHT)
    assert read['meta'] == content.get('meta', {})


def test_reads_safetensors(tmp_path):
    """By MMEngine's own loading, of an ``init_cfg`` or ``load_from``, as well."""
    path = str(tmp_path / 'weights.safetensors')
    save_file(dict(weight=torch.ones(2, 3), bias=torch.zeros(2)), path)
    assert torch.equal(read_weights(path)['weight'], torch.ones(2, 3))
    model = nn.Linear(3, 2)
    load_checkpoint(model, path, map_location='cpu')
    assert torch.equal(model.weight, torch.ones(2, 3))
    (tmp_path / 'cut.safetensors').write_bytes(b'12345')
    with pytest.raises(ValueError, match=r'cut\.safetensors'):
        read_weights(str(tmp_path / 'cut.safetensors'))


@pytest.fixture
def address(tmp_path, monkeypatch):
    """Of a folder that is served on this machine."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_fetches_an_address(tmp_path, address):
    torch.save(dict(a=WEIGHT), tmp_path / 'weights.pth')
    assert torch.equal(read_weights(f'{address}/weights.pth')['a'], WEIGHT)
    torch.save(dict(a=HistoryBuffer()), tmp_path / 'objects.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'objects\.pth'):
        read_weights(f'{address}/objects.pth')
    with pytest.raises(URLError, match='404'):
        read_weights(f'{address}/none.pth')


def test_missing():
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        read_weights('none.pth')


@pytest.mark.parametrize(
    'content, named',
    [
        (dict(state_dict=dict(a=WEIGHT), hub=HistoryBuffer()), 'history_buffer.HistoryBuffer'),
        (dict(teacher=dict(a=WEIGHT), args=argparse.Namespace(a='b')), 'only teacher, args'),
        (dict(teacher=dict(a=WEIGHT), epoch=3), 'only teacher, epoch'),
        (dict(epoch=3, model_state=dict(a=WEIGHT)), 'only epoch, model_state'),
        ([WEIGHT], 'list'),
    ],
)
def test_says_what_else_it_holds(tmp_path, content, named):
    path = tmp_path / 'weights.pth'
    torch.save(content, path)
    with pytest.raises(ValueError) as error:
        read_weights(str(path))
    assert str(path) in str(error.value) and named in str(error.value)
    assert isinstance(error.value, UnsafeCheckpointError) == ('.' in named)


@pytest.mark.parametrize('length', [0, 5, 200])
def test_what_is_no_checkpoint(tmp_path, length):
    torch.save(dict(a=WEIGHT), tmp_path / 'whole.pth')
    path = tmp_path / 'cut.pth'
    path.write_bytes((tmp_path / 'whole.pth').read_bytes()[:length])
    with pytest.raises(ValueError, match=r'cut\.pth'):
        read_weights(str(path))


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend='atomic'))


def test_writes_and_overwrites(backend, tmp_path):
    path = tmp_path / 'folder' / 'a.pth'
    backend.put(b'one', path)
    backend.put(b'two', str(path))
    assert path.read_bytes() == b'two' == backend.get(path)
    backend.put_text('three', path)
    assert path.read_text() == 'three'
    assert os.listdir(path.parent) == ['a.pth']


@pytest.mark.parametrize('fails', ['fsync', 'replace'])
def test_a_failure_leaves_the_old_file_and_nothing_else(backend, tmp_path, monkeypatch, fails):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')

    def no_space(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, fails, no_space)
    with pytest.raises(OSError, match=r'a\.pth \(No space') as error:
        backend.put(b'new', path)
    assert error.value.errno == 28
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.pth']


def test_half_written_files_are_never_seen(backend, tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, 'fsync', lambda fd: (seen.append(path.read_bytes()), real(fd)))
    backend.put(b'new', path)
    assert seen == [b'old', b'new'] and path.read_bytes() == b'new'


def some_hub(name):
    hub = MessageHub(name)
    for step in range(5):
        hub.update_scalar('train/loss', 1.5 * step, count=2)
        hub.update_scalar('train/lr', np.float32(0.1))
    hub.update_info('epoch', 3)
    hub.update_info('loss_scale', np.float64(2.0))
    hub.update_info('names', ('a', ['b', None]))
    return hub


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_history_survives_a_plain_file():
    hub = some_hub('plain-state-a')
    hub.log_scalars['train/loss'].max_length = 7
    state = unpack_message_hub(through_a_file(pack_message_hub(hub.state_dict())))
    assert isinstance(hub.get_scalar('train/loss'), HistoryBuffer)  # packing leaves the hub
    restored = MessageHub('plain-state-b')
    restored.load_state_dict(state)
    for key in ('train/loss', 'train/lr'):
        buffer, original = restored.get_scalar(key), hub.get_scalar(key)
        assert isinstance(buffer, HistoryBuffer)
        for ours, theirs in zip(buffer.data, original.data, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert restored.get_scalar('train/loss').max_length == 7
    assert restored.get_scalar('train/loss').mean(2) == hub.get_scalar('train/loss').mean(2)
    assert restored.get_info('epoch') == 3
    assert restored.get_info('loss_scale') == 2.0
    assert restored.get_info('names') == ('a', ['b', None])
    restored.update_scalar('train/loss', 1.0)  # the buffer still takes values
    assert restored.get_scalar('train/loss').current() == 1.0


def test_what_is_not_plain_is_left_out_by_name(monkeypatch):
    messages = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', messages.append)
    state = dict(log_scalars={}, runtime_info=dict(good=1, logger=logging), resumed_keys={})
    assert pack_message_hub(state)['runtime_info'] == dict(good=1)
    assert len(messages) == 1 and "'logger'" in messages[0]


def test_to_plain():
    plain = to_plain({np.int64(1): (np.float64(0.5), [np.bool_(True)]), 'a': np.arange(3)})
    assert plain[1] == (0.5, [True])
    assert all(type(v) in (float, list) for v in plain[1])
    assert torch.equal(plain['a'], torch.arange(3))
    with pytest.raises(TypeError, match='set'):
        to_plain({1})
