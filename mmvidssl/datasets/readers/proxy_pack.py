"""The file of a proxy: encoded frames one after another, an index, and what they were made from.

Little endian::

    preamble   magic (8 bytes), format version, length and crc32 of the manifest (uint32 each)
    manifest   JSON: source, settings, size of the frames, versions
    frames     each: size and crc32 (uint32), seconds (float64), the encoded image
    index      INDEX_DTYPE a frame
    footer     offset of the index, number of frames (uint64), crc32 of the index and of these two
               numbers (uint32), magic (8 bytes)

A frame also says itself what the index says of it, so that a file without index, which is what
:class:`PackWriter` leaves when it is killed, can be gone on with.
"""

import json
import mmap
import shlex
import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from .base import check_video_file
from .errors import (
    EmptyVideoError,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
    class_of_system_error,
)

PROXY_SUFFIX = '.frames'
FORMAT_VERSION = 1
MAGIC, END_MAGIC = b'\x89VSSLPX\n', b'\nXPLSSV\x89'
PREAMBLE, RECORD = struct.Struct('<8sIII'), struct.Struct('<IId')
INDEX_PLACE, FOOTER_END = struct.Struct('<QQ'), struct.Struct('<I8s')
FOOTER_SIZE = INDEX_PLACE.size + FOOTER_END.size
INDEX_DTYPE = np.dtype([('time', '<f8'), ('offset', '<u8'), ('size', '<u4'), ('crc', '<u4')])


class Pack(NamedTuple):
    """An open proxy.

    Attributes:
        path: The file.
        manifest: ``source``, ``settings``, ``width``, ``height``, ``num_frames``, ``versions``.
        frames: the index, INDEX_DTYPE ``(num_frames,)``; ``offset`` is that of the encoded image.
        data: The whole file, mapped into memory.
    """

    path: str
    manifest: dict
    frames: np.ndarray
    data: mmap.mmap


def is_proxy(path: str | Path) -> bool:
    """By the suffix."""
    return str(path).lower().endswith(PROXY_SUFFIX)


def open_pack(path: str | Path) -> Pack:
    """Map a proxy; reads the manifest and the index, and no frame.

    Raises:
        VideoError: missing, unreadable, empty, cut off, altered in manifest or index, or not a
            proxy.
    """
    path = str(path)
    check_video_file(path)
    data = _map(path)
    manifest = _read_manifest(path, data)
    if len(data) < PREAMBLE.size + FOOTER_SIZE:
        raise damaged(path, manifest, 'it is cut off')
    place = data[-FOOTER_SIZE : -FOOTER_END.size]
    offset, num_frames = INDEX_PLACE.unpack(place)
    crc, magic = FOOTER_END.unpack(data[-FOOTER_END.size :])
    if magic != END_MAGIC:
        raise damaged(path, manifest, 'it is cut off, or its end was altered')
    if offset + num_frames * INDEX_DTYPE.itemsize + FOOTER_SIZE != len(data):
        raise damaged(path, manifest, f'an index of {num_frames} frames does not fit it')
    index = data[offset:-FOOTER_SIZE]
    if crc32(place, crc32(index)) != crc:
        raise damaged(path, manifest, 'its index was altered')
    if num_frames == 0:
        raise EmptyVideoError(f'the proxy has no frames: {path}')
    return Pack(path, manifest, np.frombuffer(index, INDEX_DTYPE), data)


def read_image_bytes(pack: Pack, number: int) -> np.ndarray:
    """The encoded image of a frame, uint8 ``(size,)``, compared with its checksum.

    Raises:
        VideoError: the frame was altered, the file was cut off since it was opened, or its disk
            was lost.
    """
    _, offset, size, crc = pack.frames[number].tolist()
    try:
        size_now = pack.data.size()
    except OSError as error:  # ESTALE, of a network's disk
        raise unreadable(pack.path, error) from error
    if size_now < len(pack.data):  # touching what is gone would end the process
        raise damaged(pack.path, pack.manifest, 'it was cut off while it was open')
    image = np.frombuffer(pack.data, np.uint8, size, offset)
    if crc32(image.data) != crc:
        raise damaged(pack.path, pack.manifest, f'frame {number} was altered')
    return image


def verify_pack(path: str | Path) -> int:
    """Compare every byte of a proxy with its checksums; gives the number of frames.

    Raises:
        VideoError: see :func:`open_pack`; or a frame was altered.
    """
    pack = open_pack(path)
    end = PREAMBLE.size + PREAMBLE.unpack_from(pack.data)[2]
    for number, (time, offset, size, crc) in enumerate(pack.frames.tolist()):
        stated = pack.data[end : end + RECORD.size]
        if offset != end + RECORD.size or stated != RECORD.pack(size, crc, time):
            raise damaged(
                pack.path, pack.manifest, f'what stands before frame {number} was altered'
            )
        read_image_bytes(pack, number)
        end = offset + size
    if end + pack.frames.nbytes + FOOTER_SIZE != len(pack.data):
        raise damaged(pack.path, pack.manifest, 'something stands between frames and index')
    return len(pack.frames)


def encode_preamble(manifest: dict) -> bytes:
    """Preamble and manifest, as they stand at the beginning of a file."""
    text = json.dumps(manifest).encode()
    return PREAMBLE.pack(MAGIC, FORMAT_VERSION, len(text), crc32(text)) + text


def encode_index(index: np.ndarray, offset: int) -> bytes:
    """Index and footer of a file whose frames end at ``offset``."""
    text, place = index.tobytes(), INDEX_PLACE.pack(offset, len(index))
    return text + place + FOOTER_END.pack(crc32(place, crc32(text)), END_MAGIC)


def damaged(path: str, manifest: dict | None, reason: str) -> UndecodableVideoError:
    """An error that says how to make the proxy again."""
    made_of = 'VIDEO' if manifest is None else shlex.quote(manifest['source']['name'])
    chosen = {} if manifest is None else manifest['settings']
    options = [f'--{key.replace("_", "-")} {value}' for key, value in chosen.items() if value]
    folder = shlex.quote(str(Path(path).parent))
    command = ' '.join([f'tools/datasets/make_proxy.py {made_of}', *options, f'--out {folder}'])
    return UndecodableVideoError(
        f'the proxy {path} is damaged: {reason}. Make it again: python {command} --overwrite'
    )


def unreadable(path: str, error: OSError | ValueError) -> VideoError:
    """An error of the system, with the name of the file."""
    if isinstance(error, FileNotFoundError):
        return VideoNotFoundError(f'the proxy is gone: {path}')
    return class_of_system_error(error)(
        f'cannot read the proxy {path}: {getattr(error, "strerror", None) or error}'
    )


def _map(path: str) -> mmap.mmap:
    try:
        with open(path, 'rb') as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: it has no bytes any more
        raise unreadable(path, error) from error


def _read_manifest(path: str, data: mmap.mmap) -> dict:
    if len(data) < PREAMBLE.size or data[: len(MAGIC)] != MAGIC:
        raise damaged(path, None, 'it does not begin like a proxy')
    _, version, length, crc = PREAMBLE.unpack_from(data)
    text = data[PREAMBLE.size : PREAMBLE.size + length]
    if version > FORMAT_VERSION:
        raise UndecodableVideoError(
            f'{path} has version {version} of the format of proxies, and this mmvidssl knows '
            f'{FORMAT_VERSION}: update mmvidssl'
        )
    if version != FORMAT_VERSION or len(text) != length or crc32(text) != crc:
        raise damaged(path, None, 'its manifest was altered')
    return json.loads(text)
