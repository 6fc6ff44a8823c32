import json

import pytest
from mmengine.config import Config

from mmvidssl.data_checks import check_config, refuse
from mmvidssl.data_checks.detection import check_coco


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A list, a folder of images and one of classes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data/images').mkdir(parents=True)
    (tmp_path / 'data/train').mkdir()
    (tmp_path / 'data/images/deep').mkdir()
    (tmp_path / 'data/images/deep/a.png').touch()
    (tmp_path / 'data/list.txt').write_text('a.png 0')
    return tmp_path


def config(dataset=None, part='train', **options):
    return Config({f'{part}_dataloader': dict(dataset=dataset), **options})


GOOD = {
    'under the root': dict(type='CocoDataset', data_root='data', ann_file='list.txt'),
    'from here': dict(type='VideoDataset', ann_file='data/list.txt'),
    # mmengine takes the root; mmaction2's other files have none
    'both': dict(data_root='data', ann_file='list.txt', label_file='data/list.txt'),
    'names of the list may begin at the root of the disk': dict(
        type='VideoDataset', ann_file='data/list.txt', data_prefix=dict(video='nowhere')
    ),
    'listed folder': dict(data_root='data', data_prefix=dict(img_path='images'), img_suffix='.png'),
    'our own': dict(type='LongVideoDataset', videos=['a.mp4'], data_prefix=dict(video='nowhere')),
    'our own, long': dict(type='mmvidssl.LongVideoDataset', data_root='nowhere', videos=['a.mp4']),
    'downloaded': dict(type='CIFAR10', data_root='nowhere', split='train'),
    'folder of classes': dict(type='ImageNet', data_root='data', split='train'),
    'elsewhere': dict(ann_file='s3://bucket/list.txt'),
    'another disk': dict(ann_file='no.txt', backend_args=dict(backend='petrel')),
    'nothing named': dict(type='Other'),
}


@pytest.mark.parametrize('dataset', GOOD.values(), ids=GOOD)
def test_what_is_there(root, dataset):
    check_config(config(dataset))
    check_config(config(dict(type='RepeatDataset', times=2, dataset=dataset)))


BAD = {
    'under the root': (
        dict(data_root='data', ann_file='no.txt'),
        "ann_file: data/no.txt does not exist below data_root='data'",
    ),
    'from here': (dict(ann_file='no.txt'), 'ann_file: no.txt does not exist. Name another'),
    'another file': (
        dict(ann_file='data/list.txt', proposal_file='no.pkl'),
        'proposal_file: no.pkl',
    ),
    'a folder that is listed': (
        dict(data_root='data', data_prefix=dict(img_path='images', seg_map_path='masks')),
        'data_prefix.seg_map_path: data/masks',
    ),
    'a folder of classes': (
        dict(type='mmpretrain.CustomDataset', data_root='data', data_prefix='val'),
        'data_prefix: data/val',
    ),
    'the root': (
        dict(type='ImageNet', data_root='nowhere', split='train'),
        "data_root: nowhere/train does not exist below data_root='nowhere'",
    ),
}


@pytest.mark.parametrize('dataset, message', BAD.values(), ids=BAD)
def test_what_is_not_there(root, dataset, message):
    with pytest.raises(FileNotFoundError) as error:
        check_config(config(dataset))
    assert f'train_dataloader.dataset.{message}' in str(error.value)


EMPTY = {
    'list': (dict(data_root='data', ann_file='empty.txt'), 'ann_file: data/empty.txt'),
    'folder': (
        dict(data_root='data', data_prefix=dict(img_path='train')),
        'data_prefix.img_path: data/train',
    ),
    'suffix': (
        dict(data_root='data', data_prefix=dict(img_path='images'), img_suffix='.jpg'),
        "data_prefix.img_path: data/images has no file whose name ends in img_suffix='.jpg'",
    ),
}


@pytest.mark.parametrize('dataset, message', EMPTY.values(), ids=EMPTY)
def test_no_samples(root, dataset, message):
    (root / 'data/empty.txt').write_text('\n \n')
    with pytest.raises(ValueError) as error:
        check_config(config(dataset))
    assert f'train_dataloader.dataset.{message}' in str(error.value)


def test_class_folders_of_another_number(root):
    (root / 'data/train/cat').mkdir()
    (root / 'data/train/dog').mkdir()
    metainfo = dict(classes=['cat', 'dog'])
    dataset = dict(type='CustomDataset', data_root='data', data_prefix='train', metainfo=metainfo)
    check_config(config(dataset))
    (root / 'data/train/owl').mkdir()
    with pytest.raises(ValueError, match=r'data/train.*in one alone: owl'):
        check_config(config(dataset))


def test_places_within_wrappers(root):
    lost = dict(ann_file='no.txt')
    with pytest.raises(FileNotFoundError, match='dataset.dataset.ann_file: no'):
        check_config(config(dict(type='RepeatDataset', dataset=lost)))
    with pytest.raises(FileNotFoundError, match='datasets.1.ann_file: no'):
        check_config(config(dict(datasets=[dict(ann_file='data/list.txt'), lost])))


def test_parts_of_a_run(root):
    cfg = config(dict(ann_file='no.txt'), part='test', val_dataloader=None)
    check_config(cfg)
    with pytest.raises(FileNotFoundError, match='test_dataloader.*ann_file'):
        check_config(cfg, parts=['test'])


@pytest.mark.parametrize(
    'evaluator, place',
    [
        (dict(type='CocoMetric', ann_file='no.json'), 'val_evaluator.ann_file'),
        ([dict(type='A'), dict(label_file='no.json')], 'val_evaluator.1.label_file'),
    ],
)
def test_files_of_evaluators(root, evaluator, place):
    check_config(config(val_evaluator=dict(type='CocoMetric', ann_file='data/list.txt')))
    with pytest.raises(FileNotFoundError, match=f'{place}: no.json'):
        check_config(config(val_evaluator=evaluator))


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(coco(dict(id=3, name='cat'), dict(id=1, name='dog'))))
    return path


def coco(*categories):
    """Annotations of one object."""
    item = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 4, 4], area=16)
    image = dict(id=1, file_name='a.jpg', width=8, height=8)
    return dict(categories=categories, images=[image], annotations=[item])


def config_of(ann_file, classes, wrap=lambda dataset: dataset):
    dataset = dict(type='mmdet.CocoDataset', data_root=str(ann_file.parent), ann_file=ann_file.name)
    if classes is not None:
        dataset['metainfo'] = dict(classes=classes)
    return Config(dict(train_dataloader=dict(dataset=wrap(dataset)), val_dataloader=None))


def check_classes(ann_file, classes):
    refuse('here', check_coco('train', str(ann_file), classes), pytest.fail)


def test_names_of_categories(ann_file):
    check_classes(ann_file, ('cat', 'dog'))
    check_classes(ann_file, ['cat'])
    with pytest.raises(ValueError, match=r"\['cow', 'Dog'\].*'cat', 'dog'"):
        check_classes(ann_file, ('cat', 'cow', 'Dog'))


def test_order_of_categories(ann_file):
    """Labels are numbered in the order of the file, whatever the names' own."""
    with pytest.raises(ValueError, match="here: .* 0 is 'cat', not 'dog'"):
        check_classes(ann_file, ('dog', 'cat'))


def test_order_in_each_file_of_a_config(ann_file):
    cfg = config_of(ann_file, ('cat', 'dog'))
    other = ann_file.with_name('val.json')
    other.write_text(json.dumps(coco(dict(id=1, name='dog'), dict(id=3, name='cat'))))
    cfg.val_dataloader = dict(dataset=dict(cfg.train_dataloader.dataset, ann_file='val.json'))
    with pytest.raises(ValueError, match="val.json: 0 is 'dog'.*val_data"):
        check_config(cfg)


WRAPPERS = [
    lambda dataset: dataset,
    lambda dataset: dict(type='RepeatDataset', times=2, dataset=dataset),
    lambda dataset: dict(type='ConcatDataset', datasets=[dict(type='Other'), dataset]),
]


@pytest.mark.parametrize('wrap', WRAPPERS)
def test_data_sets_of_a_config(ann_file, wrap):
    check_config(config_of(ann_file, ('cat',), wrap))
    with pytest.raises(ValueError, match='person'):  # those of COCO, as none are named
        check_config(config_of(ann_file, None, wrap))
    with pytest.raises(ValueError, match='cow.*train_dataloader.dataset'):
        check_config(config_of(ann_file, ('cow',), wrap))
