"""The Walking Tours videos of the DoRA paper."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmvidssl.registry import DATASETS

from .list_files import VIDEO_SUFFIXES
from .long_video_dataset import LongVideoDataset
from .readers import VideoNotFoundError, proxy_stem


@DATASETS.register_module()
class WalkingToursDataset(LongVideoDataset):
    """Clips of the ten Walking Tours videos (DoRA, Sec. 3): single takes in 4K at 60 fps.

    A video is the file of that name in ``data_root`` (and ``data_prefix['video']``) with a suffix
    of videos; case, spaces, hyphens and underscores do not matter (``Kuala_Lumpur.mp4``, or
    ``kuala-lumpur.proxy.mp4``, its proxy).

    Args:
        data_root: Folder of the videos.
        cities: 'all', or some of ``METAINFO['cities']``, spelled as freely as the files.
        **kwargs: See :class:`LongVideoDataset`; ``ann_file`` and ``videos`` are not taken.
            ``on_bad='skip'`` leaves out broken files, but each city must have one.

    Raises:
        VideoNotFoundError: cities without a file; the message lists them and what was found.
    """

    METAINFO = dict(
        dataset_type='walking_tours',
        cities=(
            'Amsterdam', 'Bangkok', 'Chiang Mai', 'Istanbul', 'Kuala Lumpur',
            'Singapore', 'Stockholm', 'Venice', 'Zurich', 'Wildlife',
        ),
    )  # fmt: skip

    def __init__(self, data_root: str, cities: str | Sequence[str] = 'all', **kwargs: Any) -> None:
        refused = {'ann_file', 'videos'} & set(kwargs)
        if refused:
            raise TypeError(
                f'WalkingToursDataset finds its videos by city and takes no {sorted(refused)}; '
                'use LongVideoDataset to list files'
            )
        self.cities = _select_cities(cities, self.METAINFO['cities'])
        super().__init__(data_root=data_root, **kwargs)

    def list_videos(self) -> list[str]:
        """The chosen cities' files, in the order asked for."""
        folder = Path(self.data_prefix['video'])
        if not folder.is_dir():
            raise VideoNotFoundError(f'no such folder of Walking Tours videos: {folder}')
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES)
        matches = {
            city: [file for file in files if _plain(proxy_stem(file)) == _plain(city)]
            for city in self.cities
        }
        missing = [city for city, found in matches.items() if not found]
        if missing:
            raise VideoNotFoundError(
                f'{folder} lacks the videos of {missing}; each must be named after its city and '
                f'end in one of {VIDEO_SUFFIXES}. Found there: {[file.name for file in files]}'
            )
        for city, found in matches.items():
            if len(found) > 1:
                raise ValueError(
                    f'{folder} has several videos of {city}: {[file.name for file in found]}; '
                    'keep one, or list the files with LongVideoDataset(videos=[...])'
                )
        return [str(found[0]) for found in matches.values()]


def _plain(name: str) -> str:
    return re.sub(r'[\s_-]+', '', name).lower()


def _select_cities(cities: str | Sequence[str], known: Sequence[str]) -> list[str]:
    if cities == 'all':
        return list(known)
    asked = [cities] if isinstance(cities, str) else list(cities)
    by_plain = {_plain(city): city for city in known}
    unknown = [city for city in asked if _plain(city) not in by_plain]
    if unknown or not asked:
        raise ValueError(f"cities must be 'all' or some of {list(known)}, got {asked}")
    return [by_plain[_plain(city)] for city in asked]
