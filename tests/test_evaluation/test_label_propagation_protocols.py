"""Video object segmentation and tracking, from folders in the official layout to numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mmvidssl.datasets.frame_folders import read_boxes
from mmvidssl.datasets.transforms.frame_folders import LoadFrames, read_object_mask
from mmvidssl.evaluation import TrackingMetric, box_overlap, davis_scores, success_statistics
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.utils import register_all_modules
from tests.references import dense_propagation
from tests.utils_model import backbone_cfg
from tests.utils_tool import ROOT, run_tool

CONFIGS = ROOT / 'configs/downstream'
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]  # of DAVIS, ids 0 to 3
NUM_FRAMES, SHAPE = 5, (40, 70)


def draw(time, background):
    """Two touching squares on noise, and their ids."""
    image, ids = background.copy(), np.zeros(SHAPE, np.uint8)
    for i, colour in enumerate(((250, 40, 30), (20, 60, 240)), start=1):
        part = (slice(8, 28), slice(4 + 16 * i + 4 * time, 20 + 16 * i + 4 * time))
        image[part], ids[part] = colour, i
    return image, ids


def write_davis(root, names=('pair', 'two'), year='2017'):
    """Sequences as DAVIS keeps them; the masks of 2016 are 0 and 255."""
    for number, name in enumerate(names):
        folders = [root / kind / '480p' / name for kind in ('JPEGImages', 'Annotations')]
        for folder in folders:
            folder.mkdir(parents=True)
        background = np.random.default_rng(number).integers(0, 120, (*SHAPE, 3), dtype=np.uint8)
        for time in range(NUM_FRAMES):
            image, ids = draw(time, background)
            Image.fromarray(image).save(folders[0] / f'{time:05}.jpg', quality=95)
            mask = Image.fromarray(ids if year == '2017' else 255 * (ids > 0).astype(np.uint8))
            if year == '2017':
                mask.putpalette(PALETTE)
            elif time == 3:
                mask = mask.convert('LA')
            mask.save(folders[1] / f'{time:05}.png')
    lists = root / 'ImageSets' / ('2017' if year == '2017' else '480p')
    lists.mkdir(parents=True)
    lines = (
        names
        if year == '2017'
        else [
            f'/JPEGImages/480p/{name}/{i:05}.jpg /Annotations/480p/{name}/{i:05}.png'
            for name in names
            for i in range(NUM_FRAMES)
        ]
    )
    (lists / 'val.txt').write_text('\n'.join(lines))
    return root


def evaluate(config, root, out_dir, work_dir, short_side=40):
    """The config with a small backbone and small frames, by random weights."""
    lines = [
        f'_base_ = {str(CONFIGS / config)!r}',
        f'model = dict(backbone=dict(_delete_=True, final_norm=True, **{backbone_cfg()!r}))',
        f'test_dataloader = dict(num_workers=0, dataset=dict(data_root={str(root)!r}))',
    ]
    work_dir.mkdir(exist_ok=True)
    (work_dir / 'small.py').write_text('\n'.join(lines))
    options = (
        f'test_dataloader.dataset.pipeline.0.short_side={short_side}',
        'test_dataloader.dataset.pipeline.0.divisor=16',
        f'test_evaluator.0.out_dir={out_dir}',
    )
    arguments = work_dir / 'small.py', 'none', '--work-dir', work_dir, '--cfg-options', *options
    assert run_tool('test', *arguments) == 0
    return json.loads((work_dir / 'evaluation.json').read_text())


def features_of(folder, config):
    """``(T, h, w, D)`` of the weights of the seed."""
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmvidssl.FrozenEncoder',
            backbone=backbone_cfg(final_norm=True),
            pool='none',
            std=[58.14, 57.12, 57.375],
        )
    ).eval()
    torch.manual_seed(0)
    model.init_weights()
    frames = LoadFrames(40, 16)(dict(img_paths=sorted(map(str, folder.glob('*.jpg')))))['frames']
    with torch.no_grad():
        features = model(frames)
    return features.unflatten(1, (40 // 8, frames.shape[3] // 8))


def segment_by_hand(features, first):
    """As DINO's script does: dense affinity, and Pillow for what is resized by nearest."""
    h, w = features.shape[1:3]
    small = np.array(Image.fromarray(first).resize((w, h), Image.Resampling.NEAREST))
    labels = F.one_hot(torch.from_numpy(small).long()).permute(2, 0, 1).float()
    soft = dense_propagation.propagate_labels(features.flatten(1, 2), labels, 7, 12, 5, 0.1)
    masks = [first]
    for part in soft:
        part = F.interpolate(part[None], scale_factor=8, mode='bilinear')[0]
        for row in part:
            row -= row.min()
            row /= row.max()
        ids = Image.fromarray(part.argmax(dim=0).numpy().astype(np.uint8))
        masks.append(np.array(ids.resize(SHAPE[::-1], Image.Resampling.NEAREST)))
    return np.stack(masks)


def test_davis_2017(tmp_path):
    """Masks are those of a script like DINO's, and numbers those of the masks that are written."""
    root = write_davis(tmp_path / 'davis')
    config = 'davis/vos_vit-small-p16_dora-wt-pre_davis2017.py'
    found = evaluate(config, root, tmp_path / 'masks', tmp_path / 'work')
    scores = {}
    for name in ('pair', 'two'):
        truth, masks = (
            np.stack([np.array(Image.open(path)) for path in sorted((folder / name).iterdir())])
            for folder in (root / 'Annotations/480p', tmp_path / 'masks')
        )
        with Image.open(tmp_path / 'masks' / name / '00001.png') as written:
            assert written.mode == 'P' and written.getpalette()[:12] == PALETTE
        features = features_of(root / 'JPEGImages/480p' / name, config)
        differ = masks != segment_by_hand(features, truth[0])
        assert differ.mean() < 0.005  # between two patches, where rounding decides
        scores[name] = davis_scores(masks, truth)
        (sample,) = (v for k, v in found['samples'].items() if Path(k).name == name)
        assert sample['davis/J&F'] == pytest.approx(scores[name]['J&F'])
    for key in ('J-Mean', 'J-Recall', 'J-Decay', 'F-Mean', 'F-Recall', 'F-Decay'):
        objects = np.concatenate([part[key] for part in scores.values()])
        assert found['metrics'][f'davis/{key}'] == pytest.approx(objects.mean())
    assert 0.3 < found['metrics']['davis/J&F'] < 1
    assert found['files'] == {str(root / 'JPEGImages/480p'): 2}


def test_davis_2016(tmp_path):
    """Lists of frames, and masks of 0 and 255, one of them with an alpha channel."""
    root = write_davis(tmp_path / 'davis', ['two'], '2016')
    config = 'davis/vos_vit-small-p16_dora-wt-pre_davis2016.py'
    found = evaluate(config, root, tmp_path / 'masks', tmp_path / 'work')
    assert np.unique(read_object_mask(tmp_path / 'masks/two/00004.png')).tolist() == [0, 1]
    truth = read_object_mask(root / 'Annotations/480p/two/00003.png')
    np.testing.assert_array_equal(truth, draw(3, np.zeros((*SHAPE, 3), np.uint8))[1] > 0)
    assert 0.5 < found['metrics']['davis/J&F'] < 1


def rgb(path):
    Image.open(path).convert('RGB').save(path)


def grey(path):
    Image.open(path).convert('RGB').convert('L').save(path)


def crop(path):
    Image.open(path).crop((0, 0, 30, 30)).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def new_id(path):
    image = Image.open(path)
    image.putpixel((0, 0), 3)
    image.save(path)


def keep_two(path):
    for kind in ('JPEGImages/480p', 'Annotations/480p'):
        for file in sorted((path.parent / kind / 'two').iterdir())[2:]:
            file.unlink()


@pytest.mark.parametrize(
    ('file', 'damage', 'error'),
    [
        ('JPEGImages/480p/two/00002.jpg', Path.unlink, FileNotFoundError),
        ('JPEGImages/480p/two/00004.jpg', Path.unlink, FileNotFoundError),
        ('JPEGImages/480p/two/00002.jpg', lambda path: path.write_text('no'), OSError),
        ('JPEGImages/480p/two/00002.jpg', crop, ValueError),
        ('Annotations/480p/two/00002.png', Path.unlink, FileNotFoundError),
        ('Annotations/480p/two/00004.png', Path.unlink, FileNotFoundError),
        ('Annotations/480p/two/00002.png', lambda path: path.write_text('no'), OSError),
        ('Annotations/480p/two/00002.png', cut, OSError),
        ('Annotations/480p/two/00002.png', rgb, ValueError),
        ('Annotations/480p/two/00002.png', grey, ValueError),
        ('Annotations/480p/two/00002.png', crop, ValueError),
        ('Annotations/480p/two/00002.png', new_id, ValueError),
        ('ImageSets/2017/val.txt', Path.unlink, FileNotFoundError),
        ('ImageSets/2017/val.txt', lambda path: path.write_text('\n'), ValueError),
        ('two', keep_two, ValueError),
    ],
)
def test_davis_names_the_broken_file(file, damage, error, tmp_path):
    root = write_davis(tmp_path / 'davis', ['two'])
    damage(root / file)
    with pytest.raises(error, match=Path(file).stem):
        DATASETS.build(
            dict(
                type='DAVISDataset',
                data_root=str(root),
                ann_file='ImageSets/2017/val.txt',
                data_prefix=dict(img_path='JPEGImages/480p', seg_map_path='Annotations/480p'),
                pipeline=[dict(type='mmvidssl.LoadFrames'), dict(type='mmvidssl.LoadObjectMasks')],
            )
        )[0]


def write_tracking(folder, boxes, digits=8, name='groundtruth.txt', separator=','):
    """Frames and boxes as GOT-10k and, below ``img``, OTB keep them."""
    frames = folder / 'img' if digits == 4 else folder
    frames.mkdir(parents=True)
    background = np.random.default_rng(0).integers(0, 120, (*SHAPE, 3), dtype=np.uint8)
    for time in range(NUM_FRAMES):
        Image.fromarray(draw(time, background)[0]).save(frames / f'{time + 1:0{digits}}.jpg')
    lines = [separator.join(map(str, box)) for box in boxes]
    (folder / name).write_text('\n'.join(lines))
    return folder


BOXES = [(20 + 4 * time, 8, 16, 20) for time in range(NUM_FRAMES)]
TRACKING = 'got10k/tracking_vit-small-p16_dora-wt-pre_got10k.py'


def test_tracking_in_the_layout_of_got10k(tmp_path):
    root = tmp_path / 'val'
    write_tracking(root / 'a', BOXES)
    (root / 'a/cover.label').write_text('8\n8\n8\n0\n5\n')
    write_tracking(root / 'secret', BOXES[:1])  # as in its test set
    (root / 'list.txt').write_text('a\nsecret\n')
    found = evaluate(TRACKING, root, tmp_path / 'boxes', tmp_path / 'work')
    for name in ('a', 'secret'):
        boxes = np.loadtxt(tmp_path / f'boxes/{name}/{name}_001.txt', delimiter=',')
        assert boxes.shape == (NUM_FRAMES, 4) and tuple(boxes[0]) == BOXES[0]
    overlaps = box_overlap(boxes, BOXES, SHAPE[::-1])
    success = success_statistics(overlaps, [8, 8, 8, 0, 5])
    for name in ('AO', 'SR50', 'SR75'):
        assert found['metrics'][f'tracking/{name}'] == pytest.approx(success[name], abs=1e-3)
    assert len(found['samples']) == 1


def test_tracking_in_the_layout_of_otb(tmp_path):
    """Without a list; one sequence has two objects, and one has frames before the first box."""
    root, absent = tmp_path / 'otb', [*BOXES[:-1], ['NaN'] * 4]
    write_tracking(root / 'Car1', absent, 4, 'groundtruth_rect.txt', '\t')
    jogging = write_tracking(root / 'Jogging', BOXES, 4, 'groundtruth_rect.1.txt', ' ')
    (jogging / 'groundtruth_rect.2.txt').write_text(
        (jogging / 'groundtruth_rect.1.txt').read_text()
    )
    write_tracking(root / 'Football1', BOXES[:3], 4, 'groundtruth_rect.txt')
    dataset = DATASETS.build(dict(type='TrackingDataset', data_root=str(root)))
    samples = list(dataset)
    assert [s['name'] for s in samples] == ['Car1', 'Football1', 'Jogging-1', 'Jogging-2']
    assert [len(s['img_paths']) for s in samples] == [5, 3, 5, 5]
    assert all(s['boxes'][0] == list(BOXES[0]) for s in samples)
    assert [sum(s['visible']) for s in samples] == [4, 3, 5, 5]
    (root / 'list.txt').write_text('Car1\nFootball1\nJogging')
    found = evaluate(TRACKING, root, tmp_path / 'boxes', tmp_path / 'work')
    for values in (found['metrics'], *found['samples'].values()):
        assert 0 < values['tracking/AO'] <= 1


def test_tracked_box_is_that_of_the_patches_that_moved(tmp_path):
    """Three by two patches move by one a frame, and then are no more."""
    features = torch.zeros(6, 8, 9, 16)
    features[..., 0] = 1
    thing = torch.randn(3, 2, 16, generator=torch.Generator().manual_seed(0))
    for time in range(5):
        features[time, 1 + time : 4 + time, 2 + time : 4 + time] = thing
    sample = dict(features=features, boxes=[(20, 5, 20, 15)], ori_shape=(40, 90))
    sample |= dict(name='a', img_paths=['d/a/0.jpg'], img_shape=(64, 72))
    boxes = TrackingMetric(topk=1).track(sample)
    expected = [(20 + 10 * time, 5 + 5 * time, 20, 15) for time in range(5)]
    np.testing.assert_allclose(boxes, [*expected, expected[-1]])


def test_boxes_of_polygons(tmp_path):
    (tmp_path / 'groundtruth.txt').write_text('1,2,5,0,7,6,3,8.5\r\n')
    assert read_boxes(tmp_path / 'groundtruth.txt').tolist() == [[1, 0, 6, 8.5]]


@pytest.mark.parametrize(
    ('name', 'text', 'error', 'match'),
    [
        ('groundtruth.txt', None, FileNotFoundError, 'groundtruth'),
        ('groundtruth.txt', '', ValueError, 'groundtruth'),
        ('groundtruth.txt', '1,2,3\n' * 5, ValueError, 'groundtruth'),
        ('groundtruth.txt', '1,2,3,x\n' * 5, ValueError, 'groundtruth'),
        ('groundtruth.txt', '1,2,3,4\n1,2,3\n' * 2, ValueError, 'groundtruth'),
        ('groundtruth.txt', '1,2,0,4\n' * 5, ValueError, 'groundtruth'),
        ('groundtruth.txt', '1,2,3,4\n' * 4, ValueError, 'groundtruth'),
        ('cover.label', '8\n8\n', ValueError, 'cover'),
        ('cover.label', '8', ValueError, 'cover'),
        ('cover.label', '', ValueError, 'cover'),
        ('00000003.jpg', None, FileNotFoundError, '00000003'),
    ],
)
def test_tracking_names_the_broken_file(name, text, error, match, tmp_path):
    folder = write_tracking(tmp_path / 'set/a', BOXES)
    (folder / name).unlink(missing_ok=True)
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(error, match=match):
        DATASETS.build(dict(type='TrackingDataset', data_root=str(tmp_path / 'set'))).full_init()
