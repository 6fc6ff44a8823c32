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


def test_dora(tool, run_of, video, tmp_path):
    out = tmp_path / 'out'
    arguments = (*run_of(dora_cfg()), '--video', video, '--out', out, '--frames', 4)
    code, printed, error = tool('visualization/dora', *arguments)
    assert code == 0 and str(out) in printed, error
    assert sorted(path.name for path in out.iterdir()) == [
        *('assignment.png', 'attention.png', 'student_views.mp4', 'student_views.png'),
        *('tracks.mp4', 'tracks.png'),
    ]
    assert cv2.imread(str(out / 'tracks.png')).shape == (28 + 4 * 116 - 4, 4 * 172 - 4, 3)
    with av.open(str(out / 'tracks.mp4')) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(2.5)
        assert len(list(container.decode(video=0))) == 4


def test_maskfeat(tool, maskfeat, video, tmp_path):
    arguments = ('visualization/maskfeat', *maskfeat, '--video', video, '--out', tmp_path / 'out')
    code, _, error = tool(*arguments, '--frames', 8, '--frame-interval', 2)
    assert code == 0, error
    assert cv2.imread(str(tmp_path / 'out' / 'predictions.png')).shape == (552, 524, 3)
    assert PyAVReader(str(tmp_path / 'out' / 'predictions.mp4')).num_frames == 4


def test_features(tool, run_of, video, tmp_path):
    config, checkpoint = run_of(dora_cfg())
    out = ('--video', video, '--out', tmp_path / 'out', '--every', 0.5)
    two = (config, checkpoint, checkpoint)
    kinds = (('pca', '--frames', 3, '--foreground'), ('neighbors', '--gap', 1), ('map',))
    for kind, *options in kinds:
        checkpoints = two if kind == 'pca' else two[:2]
        code, printed, error = tool('visualization/features', kind, *checkpoints, *out, *options)
        assert code == 0, error
        name = 'pca_video' if kind == 'pca' else f'{kind}_epoch_1'
        assert f'{name}.png' in printed and (tmp_path / 'out' / f'{name}.png').is_file()


def test_what_cannot_be_drawn_is_refused_in_a_line(tool, run_of, maskfeat, video, tmp_path):
    backbone = tmp_path / 'backbone.pth'
    weights = torch.load(maskfeat[1], weights_only=True)
    kept = {k: v for k, v in weights['state_dict'].items() if k.startswith('backbone.')}
    torch.save(dict(weights, state_dict=kept), backbone)
    dora = run_of(dora_cfg())
    for name, *arguments, file, options, message in [
        ('dora', *dora, 'none.mp4', (), 'none.mp4'),
        ('dora', *dora, video, ('--start', 2.9), 'has 30 frames'),
        ('dora', *maskfeat, video, ('--frames', 4), 'MaskFeat'),
        ('maskfeat', *dora, video, ('--frames', 4), 'DoRA'),
        ('maskfeat', maskfeat[0], dora[1], video, (), 'epoch_1.pth'),
        ('maskfeat', maskfeat[0], backbone, video, (), 'backbone.pth'),
        ('features', 'neighbors', *dora, video, ('--gap', 9), 'gap=9'),
    ]:
        place = ('--video', file, '--out', tmp_path / 'none')
        code, _, error = tool(f'visualization/{name}', *arguments, *place, *options)
        assert code == 2 and message in error, error
        lines = [line for line in error.splitlines() if line.strip()]
        assert len([line for line in lines if 'extracting' not in line]) == 1, error
    assert not (tmp_path / 'none').exists()
