import cv2
import numpy as np
import pytest

from mmvidssl.datasets import ClipIndex, ImageListDataset
from mmvidssl.datasets.readers import ImageError


@pytest.fixture
def folder(tmp_path):
    """Like ImageNet: two images in train/, each in a folder of its class, and a list."""
    for name, red in [('n01/a.JPEG', 200), ('n02/b.png', 40)]:
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True)
        image = np.full((20, 30, 3), (0, 0, red), dtype=np.uint8)  # OpenCV writes BGR
        cv2.imwrite(str(path), image)
    (tmp_path / 'list.txt').write_text('n02/b.png 1\nn01/a.JPEG 0\n')
    return tmp_path


def build(folder, **kwargs):
    settings = dict(data_prefix=dict(img='train'), pipeline=[dict(type='LoadImageClip')], seed=0)
    return ImageListDataset(data_root=str(folder), **(settings | kwargs))


def test_a_folder_of_images(folder):
    dataset = build(folder)
    assert len(dataset) == 2
    for index, (name, red) in enumerate([('n01/a.JPEG', 200), ('n02/b.png', 40)]):
        sample = dataset[index]
        assert sample['img_path'] == str(folder / 'train' / name)
        assert sample['clip'].shape == (1, 20, 30, 3)
        assert sample['clip'].dtype == np.uint8
        assert np.abs(sample['clip'].mean(axis=(0, 1, 2)) - (red, 0, 0)).max() < 3


def test_a_list_with_labels(folder):
    dataset = build(folder, ann_file='list.txt')
    assert [dataset[i]['label'] for i in range(2)] == [1, 0]
    assert [dataset[i]['clip'][0, 0, 0, 0] for i in range(2)] == [40, 200]
    assert dataset.fingerprint()['images'].startswith('2 ')


def test_randomness_is_a_function_of_seed_index_and_draw(folder):
    dataset = build(folder)
    draws = [dataset[ClipIndex(i, draw)]['rng'].random() for i in (0, 1) for draw in (0, 1)]
    again = [dataset[ClipIndex(i, draw)]['rng'].random() for i in (0, 1) for draw in (0, 1)]
    assert draws == again and len(set(draws)) == 4


def test_missing_and_broken_images(folder):
    (folder / 'train' / 'n01' / 'text.jpg').write_text('no image')
    (folder / 'train' / 'n01' / 'zero.jpg').touch()
    dataset = build(folder)
    with pytest.raises(ImageError, match=r'not an image.*text\.jpg'):
        dataset[1]
    with pytest.raises(ImageError, match=r'0 bytes.*zero\.jpg'):
        dataset[2]
    (folder / 'train' / 'n01' / 'a.JPEG').unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.JPEG'):
        dataset[0]
    with pytest.raises(FileNotFoundError, match='1 of the 2 images'):
        build(folder, ann_file='list.txt')


def test_gray_transparent_and_turned_images_are_plain_rgb(folder, tmp_path):
    cv2.imwrite(str(folder / 'train' / 'gray.png'), np.full((8, 6), 7, dtype=np.uint8))
    cv2.imwrite(str(folder / 'train' / 'alpha.png'), np.full((8, 6, 4), 9, dtype=np.uint8))
    write_turned_jpeg(folder / 'train' / 'turned.jpg')
    clips = {
        sample['img_path']: sample['clip'] for sample in map(build(folder).__getitem__, range(5))
    }
    assert all(clip.ndim == 4 and clip.shape[-1] == 3 for clip in clips.values())
    assert (clips[str(folder / 'train' / 'gray.png')] == 7).all()
    assert clips[str(folder / 'train' / 'turned.jpg')].shape == (1, 20, 30, 3)


def write_turned_jpeg(path):
    """A JPEG of 20 x 30 whose EXIF data say that it is to be shown turned by 90 degrees."""
    ok, data = cv2.imencode('.jpg', np.zeros((20, 30, 3), dtype=np.uint8))
    orientation = b'\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00'  # tag 0x112, one short, 6
    exif = b'Exif\0\0II*\0\x08\0\0\0\x01\0' + orientation + b'\0\0\0\0'
    segment = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    path.write_bytes(data.tobytes()[:2] + segment + data.tobytes()[2:])
    assert ok and cv2.imread(str(path)).shape == (30, 20, 3)  # turned, unless it is ignored
