"""Short videos, listed in a file or found in a folder."""

import copy
from typing import Any

from mmvidssl.registry import DATASETS

from .clip_index import ClipIndex
from .list_files import VIDEO_SUFFIXES
from .media_list_dataset import MediaListDataset


@DATASETS.register_module()
class VideoListDataset(MediaListDataset):
    """One sample per video: Kinetics, or any folder of videos; labels are not needed.

    Lists are those of mmaction2 and PySlowFast (:func:`read_file_list`). Which frames a sample has
    is left to the pipeline, see :class:`SampleClip`.

    The pipeline receives ``video_path`` (str), ``label`` (if there is one), ``reader`` (config) and
    ``rng``.

    Args:
        *args: See :class:`MediaListDataset`; the key of ``data_prefix`` is ``video``.
        reader: Config of the video reader.
        **kwargs: See :class:`MediaListDataset`.
    """

    KIND = 'video'
    PREFIX_KEY = 'video'
    PATH_KEY = 'video_path'
    SUFFIXES = VIDEO_SUFFIXES

    def __init__(self, *args: Any, reader: dict | None = None, **kwargs: Any) -> None:
        self.reader = dict(type='PyAVReader') if reader is None else copy.deepcopy(reader)
        super().__init__(*args, **kwargs)

    def get_data_info(self, idx: int | ClipIndex) -> dict:
        """What the pipeline starts from."""
        return dict(super().get_data_info(idx), reader=self.reader)
