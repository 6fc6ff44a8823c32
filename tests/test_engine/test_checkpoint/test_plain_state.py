import io
import logging

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub, MMLogger

from mmvidssl.engine import pack_message_hub, unpack_message_hub
from mmvidssl.engine.checkpoint.plain_state import to_plain


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


def test_packing_leaves_the_hub():
    hub = some_hub('plain-state-c')
    pack_message_hub(hub.state_dict())
    assert isinstance(hub.get_scalar('train/loss'), HistoryBuffer)


def test_what_is_not_plain_is_left_out_by_name(monkeypatch):
    messages = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'warning', messages.append)
    state = dict(log_scalars={}, runtime_info=dict(good=1, logger=logging), resumed_keys={})
    assert pack_message_hub(state)['runtime_info'] == dict(good=1)
    assert len(messages) == 1 and "'logger'" in messages[0] and 'module' in messages[0]


def test_to_plain():
    plain = to_plain({np.int64(1): (np.float64(0.5), [np.bool_(True)]), 'a': np.arange(3)})
    assert plain[1] == (0.5, [True])
    assert all(type(v) in (float, list) for v in plain[1])
    assert torch.equal(plain['a'], torch.arange(3))
    with pytest.raises(TypeError, match='a set cannot be stored'):
        to_plain({1})
