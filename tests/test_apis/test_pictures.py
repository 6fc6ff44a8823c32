"""Pictures of what small models see in a real video."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import (
    Sampling,
    draw_features,
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
from mmvidssl.visualization import pca_colours
from mmvidssl.visualization.drawing import heat_map
from tests.utils_model import dora_cfg, maskfeat_cfg
from tests.utils_teacher import DALLE
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
    with pytest.raises(ValueError, match='multiple of 4'):
        read_footage(maskfeat, video, num_frames=6)
    with pytest.raises(ValueError, match='and -1'):
        read_footage(dora, video, start=-1)
    backbone = dict(maskfeat_cfg()['backbone'], temporal_size=6)
    longer = init_model(Config(dict(model=maskfeat_cfg(backbone=backbone))))
    for model, count in ((maskfeat, 16), (longer, 18)):
        assert len(read_footage(model, video, frame_interval=2).frames) == count


def test_objects_are_those_of_the_model(dora, maskfeat, video, monkeypatch):
    monkeypatch.setattr(dora.tracker, 'epsilon', 0.002)  # tells untrained features apart
    frames, _ = read_footage(dora, video, num_frames=3)
    pictures = draw_objects(dora, frames)
    assert list(pictures.tracks) == ['frame', 'object 1', 'object 2', 'masks']
    assert list(pictures.views) == ['frame', 'student sees 1', 'student sees 2']
    masks = dora.track(normalized(dora, frames)).masks[:, 0]
    seen = masks.repeat_interleave(16, 2).repeat_interleave(16, 3).numpy()
    shown, fill = pictures.tracks['frame'], dora.data_preprocessor.mean.flatten().round().numpy()
    assert shown.shape == (3, 224, 336, 3)  # twice as large as what the model sees
    for mask, view in zip(seen, list(pictures.views.values())[1:], strict=True):
        assert 0 < mask.mean() < 1
        np.testing.assert_array_equal(view[mask], shown[mask])
        assert (view[~mask] == fill).all()
    tracker, backbone = dora.tracker, dora.teacher.backbone
    with torch.no_grad():
        tokens = backbone.forward_tokens(normalized(dora, frames), tracker.block)
        found = dora.track(normalized(dora, frames))
    keys = torch.nn.functional.normalize(tokens.patches[0], dim=-1)
    before = (found.prototypes[0] @ keys.T / tracker.epsilon).softmax(dim=0)
    shape = (2, *tokens.grid)
    assert before.std() > 0.01
    for row, shares in enumerate((before, found.assignment[0].T)):
        top = row * (28 + 228)
        for i, share in enumerate(heat_map(shares.reshape(shape).numpy(), (224, 336))):
            drawn = pictures.assignment[top + 28 :][:224, (2 + i) * 340 :][:, :336]
            np.testing.assert_allclose(drawn, share.astype(int), atol=2)
    for i, attention in enumerate(tokens.class_attention[0].numpy()):
        levels = attention.reshape(tokens.grid) / np.percentile(attention, 98)
        row, column = divmod(1 + i, 3)  # five pictures in two rows
        drawn = pictures.attention[28 + row * (28 + 228) :, column * 340 :][:224, :336]
        np.testing.assert_allclose(drawn, heat_map(levels, (224, 336)).astype(int), atol=2)
    assert pictures.assignment.shape[1] == 4 * 340 - 4  # frame, both, one, the other
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
    with pytest.raises(ValueError, match='use objects'):
        draw_predictions(dora, frames, cfg)
    other = init_model(cfg)
    other.target_generator = torch.nn.Identity()
    with pytest.raises(ValueError, match='Identity'):
        draw_predictions(other, frames, cfg)


def targets_drawn(video, generator, out_channels):
    """Clip, targets, and a function that draws predictions, of MaskFeat with a target generator."""
    neck = {**maskfeat_cfg()['neck'], 'out_channels': out_channels}
    cfg = config_of(maskfeat_cfg(target_generator=generator, neck=neck))
    model = init_model(cfg)
    clip = normalized(model, read_footage(model, video, num_frames=4).frames)
    mask, target = draw_masks(cfg, 1), model.target_generator(clip)
    return target, lambda pred: draw_targets(model, clip, mask, pred, target, (2, 4, 4))


def test_codes_have_a_colour_each(video):
    generator = dict(type='mmvidssl.DiscreteTokenGenerator', tokenizer=DALLE, num_codes=32)
    target, draw = targets_drawn(video, {**generator, 'patch_size': 8}, 32)
    right = torch.nn.functional.one_hot(target[..., 0], 32).float()
    drawn = draw(right)
    assert list(drawn) == ['frame', 'masked', 'predicted codes', 'true codes']
    hidden = (drawn['masked'] == GREY).all(-1)
    predicted, true = drawn['predicted codes'], drawn['true codes']
    np.testing.assert_array_equal(predicted[hidden], true[hidden])
    colours = true[0, :, 4::8, 4::8].reshape(-1, 3)
    same = (colours[:, None] == colours).all(-1)
    codes = target[0, :, 0].numpy()
    np.testing.assert_array_equal(same, codes[:, None] == codes)
    assert (draw(right.roll(1, -1))['predicted codes'][hidden] != true[hidden]).any(-1).all()


def test_features_are_drawn_in_one_basis(video):
    teacher = maskfeat_cfg()['backbone']
    deep = dict(type='mmvidssl.DeepFeatureGenerator', teacher=teacher, ema=True, takes_clips=True)
    target, draw = targets_drawn(video, {**deep, 'patch_size': 8}, 16)
    drawn = draw(target)
    hidden = (drawn['masked'] == GREY).all(-1)
    true = drawn['true features'][hidden]
    np.testing.assert_array_equal(drawn['predicted features'][hidden], true)
    mean = draw(target.mean(dim=1, keepdim=True).expand_as(target))['predicted features'][hidden]
    assert np.ptp(mean, axis=0).max() < 2 and mean.min() > 10 and mean.max() < 245
    assert np.ptp(true, axis=0).min() > 50


def test_patch_features_lie_on_the_grid_of_tokens(dora, maskfeat, video):
    frames = PyAVReader(str(video)).get_frames(np.arange(8))[:, 32:, 64:]  # 32 x 32
    for model, grid in ((dora, (8, 4, 4, 24)), (maskfeat, (4, 4, 4, 16))):
        found = patch_features(model, frames)
        assert found.shape == grid
        whole = extract_features(model, frames, pool='none').numpy()
        np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=1e-5)


def test_features_of_models_are_side_by_side(dora, video):
    frames, _ = read_footage(dora, video, num_frames=2)
    torch.manual_seed(7)
    models = {'a': dora, 'b': init_model(Config(dict(model=dora_cfg())))}
    drawn = draw_features(models, frames)
    assert list(drawn) == ['frame', 'a', 'b'] and drawn['a'].shape == (2, 224, 336, 3)
    colours = pca_colours([patch_features(model, frames) for model in models.values()])
    for name, expected in zip(models, colours, strict=True):
        cells = drawn[name].reshape(2, 14, 16, 21, 16, 3)
        np.testing.assert_array_equal(cells[:, :, 0, :, 0], expected)
        assert (cells == cells[:, :, :1, :, :1]).all() and cells.std() > 20
    assert (drawn['a'] != drawn['b']).any()


def far(clip, other, gap):
    return clip[0] != other[0] or abs(clip[1] - other[1]) > gap


def test_neighbours_are_shown_beside_their_query(dora, video, tmp_path):
    """A row for each of two videos, the first picture of which is from the middle of it."""
    other = write_video(tmp_path / 'w.mp4', num_frames=20)
    videos, sampling = [video, other], Sampling(every=0.5)
    found = extract_features(dora, videos, sampling=sampling, show_progress=False)
    sheet = draw_neighbors(found, videos, num_queries=2, num=3, gap=0.6)
    assert sheet.shape == (2 * (28 + 164) - 4, 4 * 164 - 4, 3)
    unit = torch.nn.functional.normalize(found.features, dim=-1).double()
    clips = list(zip(found.names, found.times, strict=True))
    for row, query in enumerate(((str(video), 2.0), (str(other), 1.0))):
        similarity = (unit @ unit[clips.index(query)]).tolist()
        order = sorted(range(len(clips)), key=lambda i, by=similarity: -by[i])
        near = [c for c in map(clips.__getitem__, order) if far(c, query, 0.6)]
        for column, (name, time) in enumerate([query, *near[:3]]):
            frame = PyAVReader(name).get_frames(np.array([round(10 * time)]))[0]
            drawn = sheet[28 + row * 192 :][:160, column * 164 :][:, :160].mean(axis=(0, 1))
            np.testing.assert_allclose(drawn, frame[:, 16:80].mean(axis=(0, 1)), atol=4)
    with pytest.raises(ValueError, match='gap=9'):
        draw_neighbors(found.join([found])._replace(names=['v'] * len(found.names)), videos, gap=9)
