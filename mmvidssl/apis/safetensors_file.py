"""The safetensors format, which holds tensors and nothing that could run."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from mmvidssl.utils.atomic_file import atomic_path

ALIGNMENT = 8


def write_safetensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as float32, whole or not at all.

    Eight bytes of the header's length, little-endian; a JSON header with type, shape and place of
    each tensor, padded with spaces; the numbers, row-major and little-endian.
    """
    header: dict[str, dict] = {'__metadata__': {'format': 'pt'}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + 4 * tensor.numel()
        header[name] = dict(dtype='F32', shape=list(tensor.shape), data_offsets=[begin, end])
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % ALIGNMENT)
    with atomic_path(path) as temporary, temporary.open('wb') as file:
        file.write(len(text).to_bytes(8, 'little'))
        file.write(text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor.detach().float().numpy(), '<f4').tobytes())
