"""What data sets of listed files share."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import force_full_init
from mmengine.dist import sync_random_seed

from .clip_index import ClipIndex
from .list_files import ListedFile, find_files, find_missing, read_file_list
from .quarantine import ReplacesBroken
from .transforms import build_transforms

NUM_SHOWN = 3


class MediaListDataset(ReplacesBroken):
    """One sample per file; base of :class:`VideoListDataset` and :class:`ImageListDataset`.

    ``dataset[i]`` takes its randomness from torch's generator of the worker (draw 0 in
    ``test_mode``); ``dataset[ClipIndex(i, draw)]``, which :class:`ClipSampler` yields, is the same
    sample in whatever worker, rank or order.

    No file is opened when the data set is built; it is only seen to that the listed ones exist. A
    video that cannot be read is replaced (:class:`ReplacesBroken`); an image raises.

    The pipeline receives the path, ``label`` if there is one, and ``rng`` (``np.random.Generator``
    seeded with seed, index and draw).

    Args:
        ann_file: List of files, a line each (see :func:`read_file_list`), relative to the folder in
            ``data_prefix``. Without it, all files in that folder and below, sorted.
        data_root: Root of ``ann_file`` and ``data_prefix``.
        data_prefix: Folder of the files, relative to ``data_root``.
        suffixes: Which files are taken from a folder; the usual ones if ``None``.
        indices: Take only these samples, or so many from the start (from the end if negative).
        seed: Seed of the augmentations; ``None`` takes a common one from all ranks, which follows
            the runner's seed.
        pipeline: Transforms.
        test_mode: Whether plain indices always give draw 0.
        lazy_init: Whether to leave the list alone until first use.
        metainfo: See :class:`mmengine.dataset.BaseDataset`.
        max_retries: How often a sample is tried again whose video raises :class:`VideoError`,
            before another one takes its place.
        quarantine_after: A worker reads a video no more when its last so many samples all failed;
            ``None`` replaces no sample, and raises.

    Raises:
        FileNotFoundError: the list, the folder or listed files are missing.
        ValueError: there is no file.
    """

    KIND: str
    PREFIX_KEY: str
    PATH_KEY: str
    SUFFIXES: tuple[str, ...]

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        data_prefix: dict | None = None,
        suffixes: Sequence[str] | None = None,
        indices: int | Sequence[int] | None = None,
        seed: int | None = None,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        metainfo: dict | None = None,
        max_retries: int = 1,
        quarantine_after: int | None = 1,
    ) -> None:
        if data_prefix is not None and set(data_prefix) != {self.PREFIX_KEY}:
            raise ValueError(
                f'data_prefix must be dict({self.PREFIX_KEY}=folder), got {data_prefix}'
            )
        self.suffixes = tuple(self.SUFFIXES if suffixes is None else suffixes)
        self.seed = sync_random_seed() if seed is None else seed
        self.set_replacing(max_retries, quarantine_after)
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={self.PREFIX_KEY: ''} if data_prefix is None else dict(data_prefix),
            indices=indices,
            pipeline=build_transforms(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=0,
        )

    @property
    def folder(self) -> str:
        """Where the files are."""
        return self.data_prefix[self.PREFIX_KEY]

    def load_data_list(self) -> list[dict]:
        """One entry per file: ``path`` relative to :attr:`folder`, and ``label`` if it has one."""
        if self.ann_file:
            files = read_file_list(self.ann_file)
            self._check_presence(files)
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

    def _check_presence(self, files: list[ListedFile]) -> None:
        missing = find_missing([self._join(file.path) for file in files])
        if missing:
            more = f' and {len(missing) - NUM_SHOWN} more' if len(missing) > NUM_SHOWN else ''
            raise FileNotFoundError(
                f'{len(missing)} of the {len(files)} {self.KIND}s listed in {self.ann_file} are '
                f'missing: {", ".join(missing[:NUM_SHOWN])}{more}. Paths are relative to '
                f'{self.folder or "the working directory"} (data_root and '
                f'data_prefix=dict({self.PREFIX_KEY}=...)); take missing files from the list. '
                'A line is a path, and then perhaps labels (numbers).'
            )

    def _join(self, path: str) -> str:
        return str(Path(self.folder) / path)

    @force_full_init
    def locate(self, idx: int | ClipIndex) -> ClipIndex:
        """Index (not negative) and draw of a sample."""
        index, draw = idx if isinstance(idx, ClipIndex) else (int(idx), self._own_draw())
        if not -len(self) <= index < len(self):
            raise IndexError(f'{self.KIND} {index} asked of a data set of {len(self)} {self.KIND}s')
        return ClipIndex(index % len(self), draw)

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
        """What the pipeline starts from."""
        index, draw = self.locate(idx)
        info = super().get_data_info(index)
        info[self.PATH_KEY] = self._join(info.pop('path'))
        return dict(info, rng=np.random.default_rng([self.seed, index, draw]))

    def _own_draw(self) -> int:
        return 0 if self.test_mode else int(torch.randint(2**31, ()))

    @force_full_init
    def fingerprint(self) -> dict:
        """What gives a sample number its meaning, as plain data.

        A run that goes on in the middle of its data compares it with the one it was stopped with.
        The folder may change, so files count by their paths in it.
        """
        return {f'{self.KIND}s': f'{len(self)} with digest {self._digest}'}


def _digest_of(paths: list[str], indices: int | Sequence[int] | None) -> str:
    """16 hexadecimal digits that tell lists of a million files apart."""
    text = '\n'.join([*paths, '' if indices is None else str(indices)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
