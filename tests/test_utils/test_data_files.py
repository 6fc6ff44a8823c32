import pytest
from mmengine.config import Config

from mmvidssl.utils.data_files import check_data_files


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
    'downloaded': dict(type='CIFAR10', data_root='nowhere', split='train'),
    'folder of classes': dict(type='ImageNet', data_root='data', split='train'),
    'elsewhere': dict(ann_file='s3://bucket/list.txt'),
    'another disk': dict(ann_file='no.txt', backend_args=dict(backend='petrel')),
    'nothing named': dict(type='Other'),
}


@pytest.mark.parametrize('dataset', GOOD.values(), ids=GOOD)
def test_what_is_there(root, dataset):
    check_data_files(config(dataset))
    check_data_files(config(dict(type='RepeatDataset', times=2, dataset=dataset)))


BAD = {
    'under the root': (
        dict(data_root='data', ann_file='no.txt'),
        'ann_file: data/no.txt does not exist. It is put together from '
        "data_root='data' and 'no.txt'. Name another with --cfg-options "
        'train_dataloader.dataset.ann_file=PATH or train_dataloader.dataset.data_root=PATH',
    ),
    'from here': (
        dict(ann_file='no.txt'),
        'ann_file: no.txt does not exist. Name another with --cfg-options '
        'train_dataloader.dataset.ann_file=PATH',
    ),
    'another file': (
        dict(ann_file='data/list.txt', proposal_file='no.pkl'),
        'proposal_file: no.pkl does not exist',
    ),
    'a folder that is listed': (
        dict(data_root='data', data_prefix=dict(img_path='images', seg_map_path='masks')),
        'data_prefix.seg_map_path: data/masks does not exist. It is put together',
    ),
    'a folder of classes': (
        dict(type='mmpretrain.CustomDataset', data_root='data', data_prefix='val'),
        'data_prefix: data/val does not exist. It is put together',
    ),
    'the root': (
        dict(type='ImageNet', data_root='nowhere', split='train'),
        'data_root: nowhere does not exist. Name another with --cfg-options '
        'train_dataloader.dataset.data_root=PATH',
    ),
}


@pytest.mark.parametrize('dataset, message', BAD.values(), ids=BAD)
def test_what_is_not_there(root, dataset, message):
    with pytest.raises(FileNotFoundError) as error:
        check_data_files(config(dataset))
    assert f'train_dataloader.dataset.{message}' in str(error.value)


EMPTY = {
    'list': (dict(data_root='data', ann_file='empty.txt'), 'ann_file: data/empty.txt is empty'),
    'folder': (
        dict(data_root='data', data_prefix=dict(img_path='train')),
        'data_prefix.img_path: data/train has no file. Name',
    ),
    'suffix': (
        dict(data_root='data', data_prefix=dict(img_path='images'), img_suffix='.jpg'),
        "data_prefix.img_path: data/images has no file whose name ends in '.jpg'. Name another "
        'folder with --cfg-options train_dataloader.dataset.data_prefix.img_path=PATH, or the '
        'ending of the images with train_dataloader.dataset.img_suffix=.png',
    ),
}


@pytest.mark.parametrize('dataset, message', EMPTY.values(), ids=EMPTY)
def test_no_samples(root, dataset, message):
    (root / 'data/empty.txt').write_text('\n \n')
    with pytest.raises(ValueError) as error:
        check_data_files(config(dataset))
    assert f'train_dataloader.dataset.{message}' in str(error.value)


def test_places_within_wrappers(root):
    lost = dict(ann_file='no.txt')
    with pytest.raises(FileNotFoundError, match='train_dataloader.dataset.dataset.ann_file: no'):
        check_data_files(config(dict(type='RepeatDataset', dataset=lost)))
    with pytest.raises(FileNotFoundError, match='train_dataloader.dataset.datasets.1.ann_file: no'):
        check_data_files(config(dict(datasets=[dict(ann_file='data/list.txt'), lost])))


def test_parts_of_a_run(root):
    cfg = config(dict(ann_file='no.txt'), part='test', val_dataloader=None)
    check_data_files(cfg)
    with pytest.raises(FileNotFoundError, match='test_dataloader.dataset.ann_file'):
        check_data_files(cfg, parts=['test'])


@pytest.mark.parametrize(
    'evaluator, place',
    [
        (dict(type='CocoMetric', ann_file='no.json'), 'val_evaluator.ann_file'),
        ([dict(type='A'), dict(label_file='no.json')], 'val_evaluator.1.label_file'),
    ],
)
def test_files_of_evaluators(root, evaluator, place):
    check_data_files(config(val_evaluator=dict(type='CocoMetric', ann_file='data/list.txt')))
    with pytest.raises(FileNotFoundError, match=f'{place}: no.json does not exist. Name another'):
        check_data_files(config(val_evaluator=evaluator))
