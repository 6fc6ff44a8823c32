import json

import pytest
from mmengine.config import Config

from mmvidssl.utils.coco_classes import check_coco_classes, check_detection_data


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(categories=[dict(id=3, name='cat'), dict(id=1, name='dog')])))
    return path


def config_of(ann_file, classes, wrap=lambda dataset: dataset):
    dataset = dict(type='CocoDataset', data_root=str(ann_file.parent), ann_file=ann_file.name)
    if classes is not None:
        dataset['metainfo'] = dict(classes=classes)
    return Config(dict(train_dataloader=dict(dataset=wrap(dataset)), val_dataloader=None))


def test_names_of_categories(ann_file):
    check_coco_classes('here', str(ann_file), ('cat', 'dog'))
    check_coco_classes('here', str(ann_file), ['cat'])
    with pytest.raises(ValueError) as error:
        check_coco_classes('here', str(ann_file), ('cat', 'cow', 'Dog'))
    assert str(error.value).startswith(
        f"here: metainfo.classes has ['cow', 'Dog'], which are no categories of {ann_file}; its 2 "
        "categories are ['cat', 'dog']. Set metainfo=dict(classes=...)"
    )


def test_order_of_categories(ann_file):
    """Labels are numbered in the order of the file, whatever the names' own."""
    with pytest.raises(ValueError) as error:
        check_coco_classes('here', str(ann_file), ('dog', 'cat'))
    assert str(error.value).startswith(
        'here: metainfo.classes is dog,cat, but mmdetection numbers labels by the order of the '
        f'categories in {ann_file}, which is cat,dog. Write the classes in this order'
    )
    check_coco_classes('here', str(ann_file), ('dog', 'cat'), cat_ids=[1, 3])  # sorted by number
    with pytest.raises(ValueError, match='which is dog,cat'):
        check_coco_classes('here', str(ann_file), ('cat', 'dog'), cat_ids=[1, 3])


def test_order_in_each_file_of_a_config(ann_file):
    cfg = config_of(ann_file, ('cat', 'dog'))
    other = ann_file.with_name('val.json')
    other.write_text(json.dumps(dict(categories=[dict(id=1, name='dog'), dict(id=3, name='cat')])))
    cfg.val_dataloader = dict(dataset=dict(cfg.train_dataloader.dataset, ann_file='val.json'))
    with pytest.raises(ValueError, match=f'val_dataloader.dataset: .* in {other}, which is dog,'):
        check_detection_data(cfg)


WRAPPERS = [
    lambda dataset: dataset,
    lambda dataset: dict(type='RepeatDataset', times=2, dataset=dataset),
    lambda dataset: dict(type='ConcatDataset', datasets=[dict(type='Other'), dataset]),
]


@pytest.mark.parametrize('wrap', WRAPPERS)
def test_data_sets_of_a_config(ann_file, wrap):
    check_detection_data(config_of(ann_file, ('cat',), wrap))
    check_detection_data(config_of(ann_file, None, wrap))
    with pytest.raises(ValueError, match=r'train_dataloader.dataset.*: metainfo.classes .*cow'):
        check_detection_data(config_of(ann_file, ('cow',), wrap))
    check_detection_data(config_of(ann_file.with_name('none.json'), ('cat',), wrap))


def test_other_data_sets_are_passed_over(tmp_path):
    check_detection_data(config_of(tmp_path / 'videos.txt', ('cat',)))
    check_detection_data(Config(dict(train_dataloader=dict(dataset=dict(type='Other')))))
