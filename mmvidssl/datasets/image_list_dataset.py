"""Images, listed in a file or found in a folder."""

from mmvidssl.registry import DATASETS

from .list_files import IMAGE_SUFFIXES
from .media_list_dataset import MediaListDataset


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
