"""Extracting features of many files into one ``.npz``, in parts that a later call resumes."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from mmvidssl.datasets.readers import ImageError, VideoDiskError, VideoError, VideoNotFoundError
from mmvidssl.engine.utils import digest_of
from mmvidssl.utils.atomic_file import atomic_path

from .features import FeatureExtractor, FileFeatures, check_npz, extract_features
from .media import MediaFile, Paths, find_media, is_image

IMAGES_AT_ONCE, VIDEOS_AT_ONCE = 512, 16


def write_features(
    path: str | os.PathLike, model: nn.Module, sources: Paths, settings: object, **options: Any
) -> FileFeatures:
    """Write features of images and videos as :meth:`FileFeatures.save` does, skipping bad files.

    Finished parts lie in the folder ``<path>.parts`` until all are done; the same call after a stop
    resumes from them. Files that cannot be read are left out, and named in the result and the file.

    Args:
        path: Path of the new file, ending in ``.npz``.
        model: See :func:`extract_features`, also for ``sources``.
        sources: See there.
        settings: What features depend on beside weights and options: the config, as JSON data.
        **options: Of :func:`extract_features`.

    Raises:
        FileExistsError: the file exists, or parts of it that were made from other files or with
            other settings.
        OSError: a disk fails, or no file can be read.
        ValueError, FileNotFoundError: as :func:`extract_features`.
    """
    path = check_npz(path)
    if path.exists():
        raise FileExistsError(f'{path} exists: remove it, or name another file')
    wanted = {key: options[key] for key in ('layers', 'pool', 'role') if key in options}
    FeatureExtractor(model, **wanted)  # refuses what is impossible before anything is read
    files, folder = find_media(sources), Path(f'{path}.parts')
    paths: dict[str, str] = {}
    for file in files:
        if paths.setdefault(file.name, file.path) != file.path:
            raise ValueError(
                f'{paths[file.name]} and {file.path} would both be called {file.name}: give the '
                'folder that holds both folders, or one of them at a time'
            )
    states = [os.stat(file.path) for file in files]
    listed = [(*file, s.st_size, s.st_mtime_ns) for file, s in zip(files, states, strict=True)]
    marked = [digest_of(model), settings, wanted, options.get('sampling'), listed]
    mark = hashlib.sha256(json.dumps(marked).encode()).hexdigest()
    parts = []
    with tqdm(desc='extracting features', total=len(files)) as bar:
        for number, some in enumerate(_chunks(files)):
            part = folder / f'{number:08}.npz'
            if not part.exists():
                _write_part(part, _extract(model, some, options), mark)
            parts.append(_read_part(part, mark))
            bar.update(len(some))
    found = FileFeatures.join(parts)
    if not found.names:
        shutil.rmtree(folder)
        reason = next(iter(found.failed.values()))
        raise OSError(f'none of {len(files)} files can be read: {reason}')
    found.save(path)
    shutil.rmtree(folder)
    return found


def _chunks(files: list[MediaFile]) -> Iterator[list[MediaFile]]:
    """Split files into parts, with fewer videos in each, which take longer."""
    start = 0
    while start < len(files):
        size = IMAGES_AT_ONCE if is_image(files[start].path) else VIDEOS_AT_ONCE
        yield files[start : start + size]
        start += size


def _extract(model: nn.Module, files: list[MediaFile], options: dict) -> FileFeatures:
    """Features of the files that can be read; bad ones are isolated by halving the list."""
    try:
        return extract_features(model, files, show_progress=False, **options)
    except (ImageError, VideoError) as error:
        if isinstance(error, (VideoDiskError, VideoNotFoundError)):
            raise  # not the fault of the file
        if len(files) == 1:
            reason = str(error).splitlines()[-1]  # after a worker's traceback
            return FileFeatures(torch.empty(0), [], np.empty(0), {files[0].name: reason})
    middle = len(files) // 2
    halves = files[:middle], files[middle:]
    return FileFeatures.join([_extract(model, half, options) for half in halves])


def _write_part(path: Path, part: FileFeatures, mark: str) -> None:
    with atomic_path(path) as temporary:
        np.savez(temporary, mark=mark, **part.arrays())


def _read_part(path: Path, mark: str) -> FileFeatures:
    with np.load(path) as part:
        if part['mark'].item() != mark:
            raise FileExistsError(
                f'{path.parent} has parts of other files, or of other settings: remove it, or name '
                'another file'
            )
        failed = dict(zip(part['failed'].tolist(), part['reasons'].tolist(), strict=True))
        features = torch.from_numpy(part['features'])
        return FileFeatures(features, part['names'].tolist(), part['times'], failed)
