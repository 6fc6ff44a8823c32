"""The command lines of pictures: what they write, and what they refuse."""

import av
import cv2
import pytest
import torch
from mmengine.config import Config

from mmvidssl.datasets.readers import PyAVReader
from tests.utils_model import dora_cfg, maskfeat_cfg

MASK = dict(type='CubeMask', mask_window=(2, 2, 2), min_num_patches=1, max_num_patches=2)


@pytest.fixture
def maskfeat(run_of, tmp_path):
    """Config, with the mask of its training, and checkpoint."""
    config, checkpoint = run_of(maskfeat_cfg())
    cfg = Config.fromfile(config)
    cfg.train_dataloader = dict(dataset=dict(pipeline=[MASK]))
    cfg.dump(str(tmp_path / 'maskfeat.py'))
    return tmp_path / 'maskfeat.py', checkpoint.rename(tmp_path / 'maskfeat.pth')


def test_objects(tool, run_of, video, tmp_path):
    out = tmp_path / 'out'
    arguments = (*run_of(dora_cfg()), '--video', video, '--out', out, '--frames', 4)
    code, printed, error = tool('visualization/draw', 'objects', *arguments)
    assert code == 0 and str(out) in printed, error
    assert sorted(str(path.relative_to(out)) for path in out.rglob('*.*')) == [
        f'epoch_1/{name}'
        for name in (
            *('assignment_video.png', 'attention_video.png', 'student_views_video.mp4'),
            *('student_views_video.png', 'tracks_video.mp4', 'tracks_video.png'),
        )
    ]
    with av.open(str(out / 'epoch_1' / 'tracks_video.mp4')) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(2.5)
        assert len(list(container.decode(video=0))) == 4


def test_predictions(tool, maskfeat, video, tmp_path):
    out = tmp_path / 'out'
    arguments = ('predictions', *maskfeat, '--video', video, '--out', out)
    options = ('--frames', 8, '--frame-interval', 2)
    code, _, error = tool('visualization/draw', *arguments, *options)
    assert code == 0, error
    drawn = out / 'maskfeat' / 'predictions_video'
    assert cv2.imread(f'{drawn}.png').shape == (552, 524, 3)
    reader = PyAVReader(f'{drawn}.mp4')
    assert reader.num_frames == 4 and reader.fps == pytest.approx(2.5)


def test_features(tool, run_of, video, tmp_path):
    config, checkpoint = run_of(dora_cfg())
    out = tmp_path / 'out'
    for kind, checkpoints, options, written in (
        ('pca', 2 * [checkpoint], ('--frames', 3, '--foreground'), 'pca_video.png'),
        ('neighbors', [checkpoint], ('--every', 0.5, '--gap', 1), 'epoch_1/neighbors.png'),
        ('map', [checkpoint], ('--every', 0.5), 'epoch_1/map.png'),
    ):
        places = ('--video', video, '--out', out)
        arguments = (kind, config, *checkpoints, *places, *options)
        code, _, error = tool('visualization/draw', *arguments)
        assert code == 0, error
        assert cv2.imread(str(out / written)).std() > 10
    assert cv2.imread(str(out / 'pca_video.png')).shape == (28 + 3 * 228 - 4, 3 * 340 - 4, 3)


def test_what_cannot_be_drawn_is_refused_with_its_name(tool, run_of, maskfeat, video, tmp_path):
    backbone = tmp_path / 'backbone.pth'
    weights = torch.load(maskfeat[1], weights_only=True)
    kept = {k: v for k, v in weights['state_dict'].items() if k.startswith('backbone.')}
    torch.save(dict(weights, state_dict=kept), backbone)
    dora = run_of(dora_cfg())
    for kind, *arguments, file, options, message in [
        ('objects', *dora, 'none.mp4', (), 'none.mp4'),
        ('objects', *dora, video, ('--start', 2.9), 'has 30 frames'),
        ('objects', *maskfeat, video, ('--frames', 4), 'MaskFeat'),
        ('predictions', *dora, video, ('--frames', 4), 'DoRA'),
        ('predictions', maskfeat[0], dora[1], video, (), 'epoch_1.pth'),
        ('predictions', maskfeat[0], backbone, video, (), 'backbone.pth'),
        ('neighbors', *dora, video, ('--gap', 9), 'gap=9'),
    ]:
        place = ('--video', file, '--out', tmp_path / 'none')
        code, _, error = tool('visualization/draw', kind, *arguments, *place, *options)
        assert code == 2 and message in error, error
        assert 'Traceback' not in error
    assert not (tmp_path / 'none').exists()
