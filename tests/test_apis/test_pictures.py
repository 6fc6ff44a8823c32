"""Pictures of what small models see in a real video."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import (
    Sampling,
    draw_neighbors,
    draw_objects,
    draw_predictions,
    extract_features,
    init_model,
    patch_features,
    read_footage,
)
from mmvidssl.apis.pictures import DIMMED, GREY, draw_masks, draw_targets
from mmvidssl.datasets.readers import PyAVReader, ShortVideoError
from tests.utils_model import dora_cfg, maskfeat_cfg
from tests.utils_video import write_video

MASK = dict(type='CubeMask', mask_window=(2, 2, 2), min_num_patches=1, max_num_patches=2)
PIXELS = dict(type='mmvidssl.PixelGenerator', patch_size=8)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """40 frames at 10 fps."""
    return write_video(tmp_path_factory.mktemp('pictures') / 'v.mp4', num_frames=40)


@pytest.fixture(scope='module')
def dora():
    return init_model(Config(dict(model=dora_cfg())))


@pytest.fixture(scope='module')
def maskfeat():
    return init_model(config_of(maskfeat_cfg()))


def config_of(model):
    pipeline = [dict(type='DecodeClip'), MASK]
    return Config(dict(model=model, train_dataloader=dict(dataset=dict(pipeline=pipeline))))


def normalized(model, frames):
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)
    return model.data_preprocessor(dict(inputs=dict(clip=[pixels])))['inputs']['clip']


def test_footage_is_the_frames_asked_for_in_whole_patches(dora, maskfeat, video):
    frames, fps = read_footage(dora, video, num_frames=5, frame_interval=3, start=1.1)
    assert frames.shape == (5, 112, 168, 3) and fps == pytest.approx(10 / 3)
    expected = PyAVReader(str(video)).get_frames(np.arange(11, 24, 3))
    found, wanted = (x.mean(axis=(1, 2)) for x in (frames, expected))  # a colour a frame
    np.testing.assert_allclose(found, wanted, atol=3)
    with pytest.raises(ShortVideoError, match='has 40 frames, 4 of them'):
        read_footage(dora, video, num_frames=2, start=3.6)
    with pytest.raises(ValueError, match='clips of 4'):
        read_footage(maskfeat, video, num_frames=6)


def test_objects_are_those_of_the_model(dora, maskfeat, video):
    frames, _ = read_footage(dora, video, num_frames=3)
    pictures = draw_objects(dora, frames)
    assert list(pictures.tracks) == ['frame', 'object 1', 'object 2', 'masks']
    assert list(pictures.views) == ['frame', 'student sees 1', 'student sees 2']
    masks = dora.track(normalized(dora, frames)).masks[:, 0]
    seen = masks.repeat_interleave(8, 2).repeat_interleave(8, 3).numpy()
    fill = dora.data_preprocessor.mean.flatten().round().numpy()
    for mask, view in zip(seen, list(pictures.views.values())[1:], strict=True):
        assert 0 < mask.mean() < 1
        np.testing.assert_array_equal(view[mask], frames[mask])
        assert (view[~mask] == fill).all()
    assert pictures.assignment.shape[1] == 4 * 172 - 4  # frame, both, one, the other
    with pytest.raises(ValueError, match='MaskFeat does not'):
        draw_objects(maskfeat, frames)


@pytest.mark.parametrize('normalize', ['dataset', 'patch'])
@pytest.mark.parametrize('frames', ['center', 'all'])
def test_pixels_predicted_right_are_the_frames(video, normalize, frames):
    stride = 2 if frames == 'center' else 1
    generator = dict(**PIXELS, normalize=normalize, frames=frames)
    neck = {**maskfeat_cfg()['neck'], 'out_channels': 384 // stride}
    cfg = config_of(maskfeat_cfg(target_generator=generator, neck=neck))
    model = init_model(cfg)
    clips, _ = read_footage(model, video, num_frames=4)
    clip = normalized(model, clips)
    target, mask = model.target_generator(clip), draw_masks(cfg, 1)
    drawn = draw_targets(model, clip, mask, target, target, (2, 4, 4))
    assert list(drawn) == ['frame', 'masked', 'predicted pixels', 'true pixels']
    frame, masked, predicted, true = (pictures[0] for pictures in drawn.values())
    np.testing.assert_array_equal(frame, clips[::stride])
    np.testing.assert_allclose(true, frame.astype(int), atol=1)
    hidden = mask[0].repeat_interleave(2 // stride, 0)
    hidden = hidden.repeat_interleave(16, 1).repeat_interleave(16, 2).numpy()
    assert (masked[hidden] == GREY).all()
    np.testing.assert_array_equal(masked[~hidden], frame[~hidden])
    np.testing.assert_array_equal(predicted[hidden], true[hidden])
    np.testing.assert_allclose(predicted[~hidden], DIMMED * true[~hidden], atol=1)


def test_predictions_of_several_clips_follow_each_other(maskfeat, dora, video):
    cfg = config_of(maskfeat_cfg())
    frames, _ = read_footage(maskfeat, video, num_frames=8)
    columns = draw_predictions(maskfeat, frames, cfg)
    assert list(columns) == ['frame', 'masked', 'predicted HOG', 'true HOG']
    assert {pictures.shape for pictures in columns.values()} == {(4, 128, 128, 3)}
    second = draw_predictions(maskfeat, frames[4:], cfg)
    np.testing.assert_array_equal(columns['true HOG'][2:], second['true HOG'])
    with pytest.raises(ValueError, match='no mask'):
        draw_predictions(maskfeat, frames, Config(dict(model={})))
    with pytest.raises(ValueError, match='DoRA'):
        draw_predictions(dora, frames, cfg)
    teacher = maskfeat_cfg()['backbone']
    deep = dict(type='mmvidssl.DeepFeatureGenerator', teacher=teacher, ema=True, takes_clips=True)
    neck = {**maskfeat_cfg()['neck'], 'out_channels': 16}
    cfg = config_of(maskfeat_cfg(target_generator={**deep, 'patch_size': 8}, neck=neck))
    with pytest.raises(ValueError, match='DeepFeatureGenerator'):
        draw_predictions(init_model(cfg), frames, cfg)


def test_patch_features_lie_on_the_grid_of_tokens(dora, maskfeat, video):
    frames = PyAVReader(str(video)).get_frames(np.arange(8))[:, 32:, 64:]  # 32 x 32
    for model, grid in ((dora, (8, 4, 4, 24)), (maskfeat, (4, 4, 4, 16))):
        found = patch_features(model, frames)
        assert found.shape == grid
        whole = extract_features(model, frames, pool='none').numpy()
        np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=1e-5)


def test_neighbours_are_shown_beside_their_query(dora, video):
    sampling = Sampling(every=0.5)
    found = extract_features(dora, [video], sampling=sampling, show_progress=False)
    sheet = draw_neighbors(found, [video], num_queries=2, num=3, gap=0.6)
    assert sheet.shape == (2 * (28 + 164) - 4, 4 * 164 - 4, 3)
    with pytest.raises(ValueError, match='gap=9'):
        draw_neighbors(found, [video], gap=9)
