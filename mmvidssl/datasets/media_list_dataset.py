"""Data sets of short videos or images, listed in a file or found in a folder."""

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init

from mmvidssl.registry import DATASETS
from mmvidssl.utils.listing import find_missing, some

from .broken_samples import FaultTolerantDataset
from .clips import ClipIndex
from .list_files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ListedFile, find_files, read_file_list
from .readers import check_is_local


class MediaListDataset(FaultTolerantDataset):
    """Base class of :class:`VideoListDataset` and :class:`ImageListDataset`: a sample per file.

    Building the data set opens no file; it only checks that the listed ones exist. A
    video that cannot be read is replaced (:class:`FaultTolerantDataset`); an image raises.

    The pipeline receives the path, ``label`` if there is one, and ``rng`` (``np.random.Generator``
    seeded with seed, index and draw).

    Args:
        ann_file: List of files, a line each (see :func:`read_file_list`). Without it, all files in
            the folder and below, sorted.
        suffixes: Suffixes of the files taken from a folder; ``None`` for all usual ones.
        quarantine_after: See :class:`FaultTolerantDataset`.
        **kwargs: As there; ``on_bad`` applies to listed files that are missing. MMEngine's
            ``indices`` selects samples by number, or the first n (the last n if negative).

    Raises:
        FileNotFoundError: the list, the folder or listed files are missing.
        VideoError: a URL is given, or ``on_bad='skip'`` leaves no file.
        ValueError: there is no file.
    """

    REMOVED = dict(delimiter='leave it out: a list is read whatever is between path and label')
    KIND: str
    PATH_KEY: str
    SUFFIXES: tuple[str, ...]

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        data_prefix: dict | None = None,
        suffixes: Sequence[str] | None = None,
        quarantine_after: int | None = 1,
        **kwargs: Any,
    ) -> None:
        self.suffixes = tuple(self.SUFFIXES if suffixes is None else suffixes)
        kwargs['quarantine_after'] = quarantine_after
        super().__init__(ann_file, data_root, data_prefix, **kwargs)

    @property
    def folder(self) -> str:
        """Folder of the files."""
        return self.data_prefix[self.PREFIX_KEY]

    def load_data_list(self) -> list[dict]:
        """One entry per file: ``path`` relative to :attr:`folder`, and ``label`` if it has one."""
        if self.ann_file:
            files = self._present(read_file_list(self.ann_file))
        elif self.folder:
            files = find_files(self.folder, self.suffixes)
        else:
            raise ValueError(
                f'give an ann_file that lists the {self.KIND}s, or their folder as data_root or '
                f'data_prefix=dict({self.PREFIX_KEY}=...); got none of them'
            )
        self._digest = _digest_of([file.path for file in files], self._indices)
        return [
            dict(path=file.path) if file.label is None else dict(path=file.path, label=file.label)
            for file in files
        ]

    def _present(self, files: list[ListedFile]) -> list[ListedFile]:
        paths = [self._join(file.path) for file in files]
        missing = find_missing(paths)
        for path in missing:
            check_is_local(path)
        if self.on_bad == 'skip':
            bad = self.leave_out(dict.fromkeys(missing, 'missing'), paths)
            return [file for file, path in zip(files, paths, strict=True) if path not in bad]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of the {len(files)} {self.KIND}s listed in {self.ann_file} are '
                f'missing: {some(missing)}. Paths are relative to '
                f'{self.folder or "the working directory"} (data_root and '
                f'data_prefix=dict({self.PREFIX_KEY}=...)); take missing files from the list, or '
                "leave them out with on_bad='skip'. A line is a path, and then perhaps labels "
                '(numbers).'
            )
        return files

    def _join(self, path: str) -> str:
        return str(Path(self.folder) / path)

    def video_ends(self) -> np.ndarray:
        """1, 2, ...: one sample a file, int64 ``(num_files,)``."""
        return np.arange(1, len(self) + 1)

    def video_of(self, index: int) -> int:
        """The sample's own number."""
        return index

    def path_of(self, video: int) -> str:
        """Path of a file, by its number."""
        return self._join(super().get_data_info(video)['path'])

    def get_data_info(self, idx: int | ClipIndex) -> dict:
        """The dict that the pipeline starts from; the class lists its keys."""
        index, draw = self.locate(idx)
        info = super().get_data_info(index)
        info[self.PATH_KEY] = self._join(info.pop('path'))
        return dict(info, rng=self.rng_of(index, draw))

    @force_full_init
    def fingerprint(self) -> dict:
        """See :class:`LongVideoDataset`; files are identified by their paths in the folder."""
        return {f'{self.KIND}s': f'{len(self)} with digest {self._digest}'}


@DATASETS.register_module()
class VideoListDataset(MediaListDataset):
    """One sample per video: Kinetics, or any folder of videos; labels are not needed.

    Reads the lists of mmaction2 and PySlowFast (:func:`read_file_list`). The pipeline chooses the
    frames, see :class:`SampleClip`; mmaction2's pipelines for its ``VideoDataset`` work too, also
    for lists that ``VideoDataset`` cannot read.

    The pipeline receives ``video_path`` (str), ``label`` (if there is one), ``reader`` (config),
    ``rng`` and, for mmaction2's transforms, ``filename`` (str), ``start_index`` (0), ``modality``.

    Args:
        *args: See :class:`MediaListDataset`; the key of ``data_prefix`` is ``video``.
        reader: Config of the video reader.
        **kwargs: See :class:`MediaListDataset`.
    """

    KIND = 'video'
    PATH_KEY = 'video_path'
    SUFFIXES = VIDEO_SUFFIXES

    def __init__(self, *args: Any, reader: dict | None = None, **kwargs: Any) -> None:
        self.reader = dict(type='PyAVReader') if reader is None else copy.deepcopy(reader)
        super().__init__(*args, **kwargs)

    def get_data_info(self, idx: int | ClipIndex) -> dict:
        """The dict that the pipeline starts from; the class lists its keys."""
        info = super().get_data_info(idx)
        of_mmaction = dict(filename=info[self.PATH_KEY], start_index=0, modality='RGB')
        return dict(info, reader=self.reader, **of_mmaction)


@DATASETS.register_module()
class ImageListDataset(MediaListDataset):
    """One sample per image: ImageNet's ``train`` folder, or any other; labels are not needed.

    The pipeline receives ``img_path`` (str), ``label`` (if the list has one) and ``rng``;
    :class:`LoadImageClip` makes a clip of one frame from it.

    Args: See :class:`MediaListDataset`; the key of ``data_prefix`` is ``img``.
    """

    KIND = 'image'
    PREFIX_KEY = 'img'
    PATH_KEY = 'img_path'
    SUFFIXES = IMAGE_SUFFIXES


def _digest_of(paths: list[str], indices: int | Sequence[int] | None) -> str:
    """Digest (16 hexadecimal digits) of a list of files and the ``indices`` taken of it."""
    text = '\n'.join([*paths, '' if indices is None else str(indices)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
