"""The Walking Tours videos of the DoRA paper."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmvidssl.registry import DATASETS

from .list_files import VIDEO_SUFFIXES
from .long_video_dataset import LongVideoDataset
from .readers import VideoNotFoundError, is_proxy, proxy_stem, read_manifest
from .walking_tours_videos import WALKING_TOURS, TourVideo


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
        cities=tuple(video.city for video in WALKING_TOURS),
    )

    def __init__(self, data_root: str, cities: str | Sequence[str] = 'all', **kwargs: Any) -> None:
        refused = {'ann_file', 'videos'} & set(kwargs)
        if refused:
            raise TypeError(
                f'WalkingToursDataset finds its videos by city and takes no {sorted(refused)}; '
                'use LongVideoDataset to list files'
            )
        self.cities = [video.city for video in select_tours(cities)]
        super().__init__(data_root=data_root, **kwargs)

    def list_videos(self) -> list[str]:
        """The chosen cities' files, in the order asked for."""
        folder = Path(self.data_prefix['video'])
        if not folder.is_dir():
            raise VideoNotFoundError(f'no such folder of Walking Tours videos: {folder}')
        found = {city: find_tour(folder, city) for city in self.cities}
        missing = [city for city, file in found.items() if file is None]
        if missing:
            names = sorted(f.name for f in folder.iterdir() if f.suffix.lower() in VIDEO_SUFFIXES)
            raise VideoNotFoundError(
                f'{folder} lacks the videos of {missing}; each must be named after its city and '
                f'end in one of {VIDEO_SUFFIXES}. Found there: {names}'
            )
        files = list(map(str, found.values()))
        with contextlib.suppress(OSError):  # training needs no manifests
            settings = [read_manifest(file)['settings'] for file in filter(is_proxy, files)]
            if any(each != settings[0] for each in settings):
                text = 'differ in their settings (blur?): see their .proxy.json, make them alike'
                MMLogger.get_current_instance().warning(f'proxies in {folder} {text}')
        return files


def find_tour(folder: Path, city: str, with_proxies: bool = True) -> Path | None:
    """The file of a city, by its name; None if there is none.

    Raises:
        ValueError: there are several.
    """
    found = sorted(
        file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.suffix.lower() in VIDEO_SUFFIXES
        and _plain(proxy_stem(file)) == _plain(city)
        and (with_proxies or not is_proxy(file))
    )
    if len(found) > 1:
        raise ValueError(
            f'{folder} has several videos of {city}: {[file.name for file in found]}; '
            'keep one, or list the files with LongVideoDataset(videos=[...])'
        )
    return found[0] if found else None


def select_tours(cities: str | Sequence[str] = 'all') -> list[TourVideo]:
    """The videos of cities, spelled freely, in the order asked for.

    Raises:
        ValueError: none is asked for, or an unknown one.
    """
    asked = [cities] if isinstance(cities, str) else list(cities)
    if asked == ['all']:
        return list(WALKING_TOURS)
    known = {_plain(video.city): video for video in WALKING_TOURS}
    if not asked or any(_plain(city) not in known for city in asked):
        names = [video.city for video in WALKING_TOURS]
        raise ValueError(f"cities must be 'all' or some of {names}, got {asked}")
    return [known[_plain(city)] for city in asked]


def _plain(name: str) -> str:
    return re.sub(r'[\s_-]+', '', name).lower()
