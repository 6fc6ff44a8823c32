import argparse
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmvidssl.engine import read_weights

WEIGHT = torch.arange(3.0)


@pytest.mark.parametrize(
    'content', [dict(state_dict=dict(a=WEIGHT), meta=dict(iter=1)), dict(a=WEIGHT)]
)
def test_reads_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / 'weights.pth')
    weights = read_weights(str(tmp_path / 'weights.pth'))
    assert weights.keys() == {'a'} and torch.equal(weights['a'], WEIGHT)


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
    with pytest.raises(ValueError, match='objects.pth does not open as plain data'):
        read_weights(f'{address}/objects.pth')
    with pytest.raises(URLError, match='404'):
        read_weights(f'{address}/none.pth')


def test_missing():
    with pytest.raises(FileNotFoundError, match='none.pth does not exist'):
        read_weights('none.pth')


@pytest.mark.parametrize(
    'content, messages',
    [
        (
            dict(state_dict=dict(a=WEIGHT), message_hub=HistoryBuffer()),
            ['it holds a mmengine.logging.history_buffer.HistoryBuffer', 'if you trust it'],
        ),
        (
            dict(teacher=dict(a=WEIGHT), args=argparse.Namespace(arch='vit_small')),
            ['it holds a argparse.Namespace', 'dora_to_mmvidssl.py'],
        ),
        (
            dict(teacher=dict(a=WEIGHT), epoch=3),
            [
                'holds no state_dict, only teacher, epoch',
                'convert it with ',
                '/dora_to_mmvidssl.py',
            ],
        ),
        (
            dict(epoch=3, model_state=dict(a=WEIGHT)),
            [
                'only epoch, model_state. It is a file of PySlowFast: convert it with '
                'tools/model_converters/slowfast_to_mmvidssl.py'
            ],
        ),
        ([WEIGHT], ['holds no state_dict, a list']),
    ],
)
def test_says_what_else_it_holds(tmp_path, content, messages):
    path = tmp_path / 'weights.pth'
    torch.save(content, path)
    with pytest.raises(ValueError, match='publish_model.py') as error:
        read_weights(str(path))
    assert all(message in str(error.value) for message in (str(path), *messages))


@pytest.mark.parametrize('length', [0, 5, 200])
def test_what_is_no_checkpoint(tmp_path, length):
    torch.save(dict(a=WEIGHT), tmp_path / 'whole.pth')
    path = tmp_path / 'cut.pth'
    path.write_bytes((tmp_path / 'whole.pth').read_bytes()[:length])
    with pytest.raises(ValueError, match='cut.pth does not open as plain data'):
        read_weights(str(path))
