"""Lists of videos whose labels are the places of the classes that a config names."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mmvidssl.utils.class_file import CLASS_FILE, read_class_file

NUM_SHOWN = 20
WHERE = (
    "metainfo.classes (in the configs for your own videos: classes, or the environment's CLASSES)"
)


def check_listed_classes(
    place: str,
    classes: Sequence[str],
    ann_file: str,
    samples: Iterable[tuple[str, int]],
    is_training: bool = True,
) -> None:
    """Refuse a list of videos whose labels mean other classes than those that are named.

    A label is a number. What it means is told by ``classes.txt`` beside the list, which
    ``tools/datasets/list_videos.py`` writes, and by folders, where each class has one of its name.

    Args:
        place: Of the data set, for the message.
        classes: Names, in the order of their labels.
        ann_file: The list.
        samples: Path, relative to the folder of all videos, and label of each; -1 for none.
        is_training: Whether each class needs a video, and each video a label.

    Raises:
        ValueError: says what was found, what was expected, and what to change.
    """
    _check_class_file(place, list(classes), Path(ann_file))
    pairs = {(_folder(path), label) for path, label in samples}
    _check_labels(place, classes, ann_file, {label for _, label in pairs}, is_training)
    _check_folders(place, classes, ann_file, {pair for pair in pairs if pair[1] >= 0})


def _check_class_file(place: str, classes: list[str], ann_file: Path) -> None:
    file = ann_file.with_name(CLASS_FILE)
    if not file.is_file():
        return
    found = read_class_file(file)
    if found != classes:
        raise ValueError(
            f'{place} names the classes {_some(classes)}, but {file}, by whose order the labels of '
            f'{ann_file} are numbered, has {_some(found)}. Set {WHERE} to {",".join(found)}, in '
            'this order, or write lists and file anew.'
        )


def _check_labels(
    place: str, classes: Sequence[str], ann_file: str, labels: set[int], is_training: bool
) -> None:
    last = len(classes) - 1
    wrong = sorted(label for label in labels if label > last or (label < 0 and is_training))
    if wrong:
        raise ValueError(
            f'{place}: {ann_file} has the labels {_some(wrong)}, but the {len(classes)} classes '
            f'{_some(classes)} are numbered 0 to {last}. Correct the list, or name all classes in '
            f'{WHERE}.'
        )
    absent = [f'{name} ({label})' for label, name in enumerate(classes) if label not in labels]
    if absent and is_training:
        raise ValueError(
            f'{place} names {len(classes)} classes, but {ann_file} has no video of '
            f'{len(absent)} of them: {_some(absent)}. Add videos, or take the names out of {WHERE} '
            'and number the labels anew; tools/datasets/list_videos.py does.'
        )


def _folder(path: str) -> str:
    """The first on the way to a file; '' if there is none."""
    first, *rest = Path(path).parts or ('',)
    return first if rest else ''


def _check_folders(
    place: str, classes: Sequence[str], ann_file: str, pairs: set[tuple[str, int]]
) -> None:
    """Of videos in folders called like classes, one folder a label and one label a folder."""
    folders, labels = ({pair[index] for pair in pairs} for index in (0, 1))
    if not len(pairs) == len(folders) == len(labels) or not folders <= set(classes):
        return
    wrong = sorted((label, name) for name, label in pairs if classes[label] != name)
    if wrong:
        listed = [f'{label} for videos in {name}/' for label, name in wrong]
        raise ValueError(
            f'{place}: {ann_file} has the label {_some(listed)}, but the classes are named in the '
            f'order {_some(classes)}, from 0. Name them in {WHERE} in the order of their labels.'
        )


def _some(items: Sequence) -> str:
    more = f' and {len(items) - NUM_SHOWN} more' if len(items) > NUM_SHOWN else ''
    return ', '.join(map(str, items[:NUM_SHOWN])) + more
