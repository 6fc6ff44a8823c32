"""Data sets of the four libraries, right and wrong."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.fileio import LocalBackend, register_backend
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from torch import nn

from mmvidssl.data_checks import check_dataset, leaves, refuse
from mmvidssl.data_checks.segmentation import count_labels
from mmvidssl.data_checks.subject import heads_of
from mmvidssl.registry import MODELS

# isort: split
from mmaction.datasets.transforms import DecordInit

NAME = 'train_dataloader.dataset'


class SomeHead(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes


def model_of(*numbers):
    return nn.ModuleDict({f'head{i}': SomeHead(number) for i, number in enumerate(numbers)})


def check(dataset, *numbers, num_opened=10, name=NAME):
    """The line that says what was seen."""
    subject = check_dataset(dataset, name, model_of(*numbers), num_opened)
    refuse(subject.place, subject.findings, lambda _: None)
    return subject.line


def image(path, values=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((8, 8), np.uint8)
    pixels.flat[: np.size(values)] = values
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def coco(tmp_path):
    """A data set of mmdetection: three images with a cat and a dog each."""

    def build(classes=('cat', 'dog'), **options):
        names = [f'{index}.png' for index in range(3)]
        for name in names:
            image(tmp_path / name)
        box = dict(bbox=[1, 1, 5, 5], area=25, iscrowd=0)
        annotations = dict(
            images=[dict(id=i, file_name=n, width=8, height=8) for i, n in enumerate(names)],
            categories=[dict(id=7, name='cat'), dict(id=9, name='dog')],
            annotations=[
                dict(box, id=2 * i + j, image_id=i, category_id=category)
                for i in range(3)
                for j, category in enumerate((7, 9))
            ],
        )
        (tmp_path / 'coco.json').write_text(json.dumps(annotations))
        return make(
            'mmdet.CocoDataset',
            data_root=str(tmp_path),
            ann_file='coco.json',
            metainfo=dict(classes=classes),
            **{'data_prefix': dict(img=''), **options},
        )

    return build


def make(kind, **options):
    init_default_scope(kind.split('.')[0])
    return DATASETS.build(dict(type=kind, pipeline=[], **options))


@pytest.fixture
def masks(tmp_path):
    """A data set of mmsegmentation, whose two masks have these values in their first pixels."""

    def build(values, kind='mmseg.BaseSegDataset', **options):
        for index in range(2):
            image(tmp_path / f'images/{index}.jpg')
            image(tmp_path / f'masks/{index}.png', values)
        return make(
            kind,
            data_root=str(tmp_path),
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            **options,
        )

    return build


@pytest.fixture
def videos(tmp_path):
    """A data set of mmaction2 with these labels; its files are empty, they are not opened."""

    def build(labels, missing=(), **options):
        for index in range(len(labels)):
            if index not in missing:
                (tmp_path / f'{index}.mp4').touch()
        lines = [f'{index}.mp4 {label}' for index, label in enumerate(labels)]
        (tmp_path / 'list.txt').write_text('\n'.join(lines))
        return make(
            'mmaction.VideoDataset',
            ann_file=str(tmp_path / 'list.txt'),
            data_prefix=dict(video=str(tmp_path)),
            **options,
        )

    return build


def test_detection(coco):
    line = f'{NAME} (CocoDataset): 3 samples, 3 files, 2 classes, labels 0 to 1'
    assert check(coco(), 2, 2) == line
    with pytest.raises(ValueError, match='2 classes, .*head1.num_classes=80'):
        check(coco(), 2, 80)


def test_names_that_are_no_category(coco):
    with pytest.raises(ValueError, match=r"\['bird'\].*coco.json"):
        check(coco(('cat', 'bird')), 2)
    assert '1 classes' in check(coco(('dog',)), 1)


def test_classes_in_another_order(coco):
    with pytest.raises(ValueError, match="0 is 'cat', not 'dog'"):
        check(coco(('dog', 'cat')), 2)


def test_one_class_without_a_comma(coco):
    with pytest.raises(ValueError, match=r"classes=\('cat',\)"):
        check(coco('cat'), 1)


def test_missing_files(coco, videos):
    dataset = coco(data_prefix=dict(img='elsewhere'))
    with pytest.raises(FileNotFoundError) as error:
        check(dataset, 2)
    parts = ('3 of the 3 files', 'coco.json', 'elsewhere/0.png', "'img': '", 'ann_file=')
    assert all(part in str(error.value) for part in parts)


def test_all_missing_files_are_counted(videos, tmp_path):
    """A sample of a thousand would have found hardly any of them."""
    dataset = videos([0] * 3000, missing=range(7, 3000, 300))
    with pytest.raises(FileNotFoundError) as error:
        check(dataset, 1)
    names = [f'{tmp_path}/{index}.mp4' for index in sorted(range(7, 3000, 300), key=str)][:5]
    message = str(error.value)
    assert message.startswith(f'{NAME} (VideoDataset): 10 of the 3000 files')
    assert f': {", ".join(names)} and 5 more' in message


def test_masks(masks):
    classes = dict(metainfo=dict(classes=('sky', 'sea', 'sand')))
    line = f'{NAME} (BaseSegDataset): 2 samples, 4 files, 3 classes, labels 0 to 2'
    assert check(masks([0, 1, 2, 255], **classes), 3, 3) == line
    with pytest.raises(ValueError, match=r'0.png, .*\[3\].* 0 to 2 and 255'):
        check(masks([0, 3], **classes), 3)
    with pytest.raises(ValueError, match='3 classes, .*=150'):
        check(masks([0], **classes), 3, 150)


def test_images_without_masks(tmp_path):
    """To write predictions for (``format_only``)."""
    image(tmp_path / 'images/0.jpg')
    dataset = make(
        'mmseg.BaseSegDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images'),
        metainfo=dict(classes=('sky',)),
        test_mode=True,
    )
    assert check(dataset, 1).endswith('1 samples, 1 files, 1 classes')


def test_masks_from_one(masks):
    """As ADE20K's."""
    options = dict(reduce_zero_label=True, metainfo=dict(classes=('sky', 'sea')))
    assert 'labels 0 to 1' in check(masks([0, 1, 2, 255], **options), 2)
    with pytest.raises(ValueError, match=r'\[3\].* 0 \(ignored\), 1 to 2 and 255'):
        check(masks([3], **options), 2)


def test_masks_of_some_classes(masks):
    """A label map, which the library makes of a choice of classes."""
    options = dict(kind='mmseg.ADE20KDataset', metainfo=dict(classes=('sky', 'wall')))
    seen = check(masks([0, 1, 2, 3], **options), 2)  # 1 is wall, 3 is sky
    assert 'labels 0 to 1' in seen


def test_coloured_masks(masks, tmp_path):
    dataset = masks([0], metainfo=dict(classes=('sky',)))
    cv2.imwrite(str(tmp_path / 'masks/1.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match='1.png: .*3 channels'):
        check(dataset, 1)


@pytest.mark.parametrize('value, label', [(2, 2), (0xFFFF, 255), (300, None)])
def test_masks_of_16_bits(masks, value, label):
    """mmsegmentation reads the last 8 of them: 300 is another class, 44."""
    dataset = masks([0], metainfo=dict(classes=('sky', 'sea', 'sand')))
    pixels = np.array([[0, 1], [2, value]], np.uint16)
    for index in range(2):
        path = dataset.get_data_info(index)['seg_map_path']
        cv2.imwrite(path, np.repeat(np.repeat(pixels, 4, 0), 4, 1))
    init_default_scope('mmseg')
    loaded = TRANSFORMS.build(dict(type='LoadAnnotations'))(dataset.get_data_info(0))['gt_seg_map']
    assert loaded[-1, -1] == (44 if label is None else label)
    if label is None:
        with pytest.raises(ValueError, match='0.png, .*1.png.*up to 300'):
            check(dataset, 3)
    else:
        assert 'labels 0 to 2' in check(dataset, 3)


def test_masks_read_as_the_library_reads_them(masks):
    options = dict(kind='mmseg.ADE20KDataset', metainfo=dict(classes=('sky', 'wall')))
    dataset = masks([0, 1, 2, 3, 150, 255], **options)
    init_default_scope('mmseg')
    info = dataset.get_data_info(0)
    loaded = TRANSFORMS.build(dict(type='LoadAnnotations'))(dict(info))['gt_seg_map']
    ours = count_labels(dataset, cv2.imread(info['seg_map_path'], cv2.IMREAD_UNCHANGED))
    assert ours == dict(zip(*np.unique(loaded, return_counts=True), strict=True))
    assert set(ours) == {0, 1, 255}


def test_videos(videos):
    assert '4 files, 3 classes, labels 0 to 2' in check(videos([0, 1, 2, 1]), 3)
    with pytest.raises(ValueError, match='from 1 to 3'):
        check(videos([1, 2, 3]), 3)
    with pytest.raises(ValueError, match='head1.num_classes=400'):
        check(videos([0, 1]), 2, 400)
    with pytest.raises(ValueError, match='go from -1 to 0'):
        check(videos([0, -1]), 2)
    unlabelled = videos([-1, -1], test_mode=True)
    assert 'labels -1 to -1' in check(unlabelled, 2, name='test_dataloader.dataset')


def test_names_of_the_classes_of_videos(videos, tmp_path):
    names = dict(metainfo=dict(classes=['cat', 'dog']))
    assert '2 classes, labels 0 to 1' in check(videos([0, 1, 1, 0], **names), 2)
    with pytest.raises(ValueError, match='head0.num_classes=3'):
        check(videos([0, 1], **names), 3)
    with pytest.raises(ValueError, match='VideoDataset.* 0 to 5'):
        check(videos([0, 5, 1], **names), 2)
    with pytest.raises(ValueError, match=r'list.txt: dog \(1\)'):
        check(videos([0, 0], **names), 2)
    held_out = 'val_dataloader.dataset'
    assert 'labels 0 to 0' in check(videos([0, 0], test_mode=True, **names), 2, name=held_out)
    (tmp_path / 'classes.txt').write_text('dog\ncat\n')
    with pytest.raises(ValueError, match='classes.txt.* dog, cat'):
        check(videos([0, 1], test_mode=True, **names), 2)
    (tmp_path / 'classes.txt').unlink()
    for name, label in dict(cat=1, dog=0).items():
        (tmp_path / name).mkdir()
        (tmp_path / name / '0.mp4').touch()
        with open(tmp_path / 'list.txt', 'w' if name == 'cat' else 'a') as file:
            print(f'{name}/0.mp4 {label}', file=file)
    dataset = make(
        'mmaction.VideoDataset',
        ann_file=str(tmp_path / 'list.txt'),
        data_prefix=dict(video=str(tmp_path)),
        **names,
    )
    with pytest.raises(ValueError, match='0 for .* dog/, 1 for .* cat/'):
        check(dataset, 2)


def test_image_folders(tmp_path):
    for name in ('cat/0.png', 'cat/1.png', 'dog/2.png'):
        image(tmp_path / name)
    dataset = make('mmpretrain.CustomDataset', data_root=str(tmp_path))
    assert '3 files, 2 classes, labels 0 to 1' in check(dataset, 2)
    with pytest.raises(ValueError, match='num_classes=1000'):
        check(dataset, 1000)


def test_depth(tmp_path):
    """The classes of NYUv2 are scenes."""
    image(tmp_path / 'images/kitchen_1.jpg')
    image(tmp_path / 'annotations/kitchen_1.png', 200)
    dataset = make('mmseg.NYUDataset', data_root=str(tmp_path))
    assert check(dataset, 1).endswith('1 samples, 2 files, 0 classes')


def test_empty(tmp_path):
    """Where samples are serialised MMEngine fails before, see check_config."""
    (tmp_path / 'images').mkdir()
    dataset = make(
        'mmseg.BaseSegDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images'),
        serialize_data=False,
    )
    with pytest.raises(ValueError, match=r'BaseSegDataset\): .*data_root='):
        check(dataset, 1)


class Archive(LocalBackend):
    """Gives out files of whatever folder as if it had them, as a store in a network may."""

    def list_dir_or_file(self, *args, **kwargs):
        yield from ('0.jpg', '1.jpg')


def test_files_of_another_backend(tmp_path):
    register_backend('archive', Archive, force=True)
    options = dict(
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        metainfo=dict(classes=('sky', 'sea')),
        backend_args=dict(backend='archive'),
    )
    subject = check_dataset(make('mmseg.BaseSegDataset', **options), NAME, model_of(2))
    assert [(found.kind, 'archive' in found.text) for found in subject.findings] == [
        (UserWarning, True)
    ]
    with pytest.raises(ValueError, match='head0.num_classes=3'):
        check(make('mmseg.BaseSegDataset', **options), 3)


@pytest.mark.parametrize('backend, is_looked_for', [('disk', True), ('petrel', False)])
def test_videos_of_another_backend(videos, backend, is_looked_for):
    dataset = videos([0, 1], missing=[0])
    dataset.pipeline.transforms.append(DecordInit(io_backend=backend))
    if is_looked_for:
        with pytest.raises(FileNotFoundError, match='1 of the 2 files'):
            check(dataset, 2)
    else:
        assert '2 classes, labels 0 to 1' in check(dataset, 2)


def test_a_label_of_one_sample_in_thousands(videos):
    with pytest.raises(ValueError, match='from 0 to 3'):
        check(videos([0] * 1500 + [3] + [0] * 1500), 3)


def test_opens_the_stated_number_of_masks(masks):
    options = dict(metainfo=dict(classes=('sky', 'sea')))
    for num_opened, expected in ((1, 64), (2, 128), (9, 128), (None, 128)):
        subject = check_dataset(masks([0, 1], **options), NAME, model_of(2), num_opened)
        assert subject.counts.total() == expected


def test_wrapped_data_sets(videos):
    first = videos([0, 1])
    assert list(leaves(ConcatDataset([first, first]))) == [first, first]
    assert list(leaves(RepeatDataset(first, times=3))) == [first]


LIBRARIES = {
    'mmdet::convnext/cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py': {
        **{f'model.roi_head.bbox_head.{stage}.num_classes': 80 for stage in range(3)},
        **{f'model.roi_head.mask_head.{stage}.num_classes': 80 for stage in range(3)},
    },
    'mmseg::mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512.py': {
        'model.decode_head.num_classes': 150,
        'model.auxiliary_head.num_classes': 150,
    },
    'mmaction::recognition/mvit/'
    'mvit-small-p244_k400-maskfeat-pre_8xb32-16x4x1-100e_kinetics400-rgb.py': {
        'model.cls_head.num_classes': 400,
        'model.data_preprocessor.blending.augments.0.num_classes': 400,
        'model.data_preprocessor.blending.augments.1.num_classes': 400,
    },
    'mmpretrain::vision_transformer/vit-base-p16_32xb128-mae_in1k.py': {
        'model.head.num_classes': 1000,
        'data_preprocessor.num_classes': 1000,
    },
}


@pytest.mark.parametrize('base, expected', LIBRARIES.items(), ids=lambda item: str(item)[:8])
def test_finds_every_number_of_classes(tmp_path, base, expected):
    (tmp_path / 'config.py').write_text(f'_base_ = {base!r}\n')
    cfg = Config.fromfile(tmp_path / 'config.py')
    init_default_scope(cfg.default_scope)
    model = dict(cfg.model)
    model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))  # as the runner does
    heads = heads_of(MODELS.build(model))
    found = {f'{place}.num_classes': head.num_classes for place, head in heads.items()}
    assert found == expected
