"""Sets for object discovery in their real layouts, each of two pictures or three."""

import json

import numpy as np
import pytest
from PIL import Image

from mmvidssl.datasets import COCOBoxDataset, DAVISBoxDataset, VOCBoxDataset

OBJECT = (
    '<object><name>cat</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>'
    '<xmax>{}</xmax><ymax>{}</ymax></bndbox>'
    '<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>'
    '</bndbox></part></object>'
)
BOXES = ([[0, 0, 40, 30], [4, 9, 12, 20]], [[1, 2, 3, 4]])


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    else:
        content.save(path)


def picture():
    return Image.new('RGB', (40, 30))


@pytest.fixture
def voc(tmp_path):
    for name, boxes in zip(('000005', '000007'), BOXES, strict=True):
        objects = [OBJECT.format(1, x0 + 1, y0 + 1, x1, y1) for x0, y0, x1, y1 in boxes]
        write(tmp_path / f'Annotations/{name}.xml', f'<annotation>{"".join(objects)}</annotation>')
        write(tmp_path / f'JPEGImages/{name}.jpg', picture())
    write(tmp_path / 'ImageSets/Main/trainval.txt', '000005\n000007  1\n')
    return VOCBoxDataset(
        data_root=str(tmp_path), ann_file='ImageSets/Main/trainval.txt', lazy_init=True
    )


@pytest.fixture
def coco(tmp_path):
    names = [f'COCO_train2014_{number:012}.jpg' for number in (9, 25, 30)]
    annotations = [
        dict(image_id=25, iscrowd=0, bbox=[0.4, 0, 39.4, 29.6]),
        dict(image_id=9, iscrowd=0, bbox=[1, 2, 2, 2]),
        dict(image_id=25, iscrowd=1, bbox=[7, 7, 7, 7]),
        dict(image_id=25, iscrowd=0, bbox=[4, 9, 8, 11]),
    ]
    images = [dict(id=int(name[15:27]), file_name=name) for name in names]
    content = json.dumps(dict(images=images, annotations=annotations))
    write(tmp_path / 'annotations/instances_train2014.json', content)
    for name in names[:2]:
        write(tmp_path / 'train2014' / name, picture())
    write(tmp_path / 'list.txt', f'train2014/{names[1]}\ntrain2014/{names[0]}\n')
    return COCOBoxDataset(
        data_root=str(tmp_path),
        ann_file='list.txt',
        lazy_init=True,
    )


@pytest.fixture
def davis(tmp_path):
    """A sequence of 2017, with a palette; and one of 2016, whose mask has transparency."""
    ids = np.zeros((30, 40), np.uint8)
    ids[:, :], ids[9:20, 4:12], ids[29, 39] = 1, 3, 255
    mask = Image.fromarray(ids)
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] * 64)
    write(tmp_path / 'Annotations/480p/bear/00000.png', mask)
    mask = np.zeros((30, 40, 2), np.uint8)
    mask[2, 1:3, 0] = mask[3, 1, 0] = 255
    mask[..., 1] = 255
    write(tmp_path / 'Annotations/480p/cow/00000.png', Image.fromarray(mask, 'LA'))
    for name in ('bear', 'cow'):
        write(tmp_path / f'JPEGImages/480p/{name}/00000.jpg', picture())
    frames = ['/JPEGImages/480p/cow/00000.jpg /Annotations/480p/cow/00000.png'] * 2  # of 2016
    write(tmp_path / 'val.txt', '\n'.join(['bear', *frames]))
    return DAVISBoxDataset(data_root=str(tmp_path), ann_file='val.txt', lazy_init=True)


@pytest.mark.parametrize('kind', ['voc', 'coco', 'davis'])
def test_pictures_come_with_the_boxes_of_their_objects(kind, request):
    dataset = request.getfixturevalue(kind)
    assert [dataset[index]['boxes'] for index in range(len(dataset))] == list(BOXES)
    for index in range(len(dataset)):
        with Image.open(dataset[index]['img_path']) as image:
            assert image.size == (40, 30)


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        ('voc', 'ImageSets/Main/trainval.txt'),
        ('voc', 'JPEGImages/000007.jpg'),
        ('voc', 'Annotations/000007.xml'),
        ('coco', 'annotations/instances_train2014.json'),
        ('coco', 'train2014/COCO_train2014_000000000025.jpg'),
        ('davis', 'JPEGImages/480p/cow/00000.jpg'),
        ('davis', 'Annotations/480p/cow/00000.png'),
    ],
)
def test_a_missing_file_is_named(kind, name, request, tmp_path):
    dataset = request.getfixturevalue(kind)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name[-30:]):
        dataset.full_init()


@pytest.mark.parametrize(
    ('kind', 'name', 'content'),
    [
        ('voc', 'ImageSets/Main/trainval.txt', '\n'),
        ('voc', 'Annotations/000007.xml', '<annotation>'),
        ('voc', 'Annotations/000007.xml', OBJECT.format(0, 1, 2, '', 4).join(['<a>', '</a>'])),
        ('coco', 'annotations/instances_train2014.json', '{"images": ['),
        ('coco', 'annotations/instances_train2014.json', '{"images": []}'),
        ('coco', 'annotations/instances_train2014.json', '{"images": [], "annotations": []}'),
        ('davis', 'Annotations/480p/cow/00000.png', 'no picture'),
    ],
)
def test_what_cannot_be_read_is_named(kind, name, content, request, tmp_path):
    dataset = request.getfixturevalue(kind)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=name[-30:]):
        dataset.full_init()
