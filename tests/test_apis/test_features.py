"""Features of frames, clips, images and videos, against the backbones' own outputs."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import (
    FeatureExtractor,
    Sampling,
    extract_features,
    init_model,
    write_features,
)
from mmvidssl.datasets.readers import read_image
from mmvidssl.datasets.transforms import ClipCenterCrop, ClipResize
from tests.utils_export import build, maskfeat_vit_cfg
from tests.utils_model import backbone_cfg, dora_cfg, maskfeat_cfg
from tests.utils_video import draw_frame, read_frame_number, write_video

SMALL = Sampling(every=1.0, frame_interval=2, short_side=32, crop_size=32)


@pytest.fixture(scope='module')
def dora():
    return build(dora_cfg())


@pytest.fixture(scope='module')
def maskfeat():
    return build(maskfeat_cfg())


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8)


def normalized(model, frames: np.ndarray) -> torch.Tensor:
    """``(T, H, W, 3)`` to ``(3, T, H, W)``, by the model's own preprocessor."""
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)
    return model.data_preprocessor(dict(inputs=dict(clip=[clip])))['inputs']['clip'][0]


@torch.no_grad()
def test_several_layers_of_a_vit_all_go_through_its_norm(dora, frames):
    backbone = dora.teacher.backbone
    inputs = normalized(dora, frames).transpose(0, 1)
    tokens = backbone.pre_norm(backbone._embed(inputs)[0])
    expected = []
    for layer in backbone.layers:
        tokens = layer(tokens)
        expected.append(backbone.ln1(tokens))
    found = extract_features(dora, frames, batch_size=3, layers=[-2, -1])
    torch.testing.assert_close(found, torch.cat([t[:, 0] for t in expected], -1))
    torch.testing.assert_close(
        extract_features(dora, frames, layers=0, pool='mean'), expected[0][:, 1:].mean(1)
    )
    torch.testing.assert_close(extract_features(dora, frames, pool='none'), expected[1][:, 1:])


@torch.no_grad()
def test_clips_of_maskfeat_are_mean_tokens(maskfeat, frames):
    clips = normalized(maskfeat, frames).unflatten(1, (2, 4)).transpose(0, 1)
    expected = maskfeat.backbone.forward_tokens(clips).tokens
    torch.testing.assert_close(extract_features(maskfeat, frames), expected.mean(1))
    torch.testing.assert_close(extract_features(maskfeat, frames, pool='none'), expected)
    wide = extract_features(maskfeat, frames, layers=[0, 1, 2])
    widths = [block.out_dims for block in maskfeat.backbone.blocks]
    assert wide.shape == (2, sum(widths))
    torch.testing.assert_close(wide[:, -16:], expected.mean(1))
    with pytest.raises(ValueError, match='7 frames given; leave out 3'):
        extract_features(maskfeat, frames[:7])
    with pytest.raises(ValueError, match=r'\(2, 32, 16\)'):
        extract_features(maskfeat, frames, layers=[0, 2], pool='none')


@torch.no_grad()
def test_maskfeats_vit_sees_frames(frames):
    model = build(maskfeat_vit_cfg())
    inputs = normalized(model, frames).transpose(0, 1)
    expected = model.backbone.forward_tokens(inputs).tokens.mean(1)
    torch.testing.assert_close(extract_features(model, frames), expected)


PREPROCESSOR = dict(mean=[114.75] * 3, std=[57.375] * 3)
VIDEO_CLASSIFIER = dict(
    type='Recognizer3D',
    backbone=dict(maskfeat_cfg()['backbone'], type='mmvidssl.PooledMViT'),
    cls_head=dict(type='MViTHead', num_classes=3, in_channels=16, with_cls_token=False),
    data_preprocessor=dict(PREPROCESSOR, type='ActionDataPreprocessor', format_shape='NCTHW'),
)


def image_classifier(**backbone) -> dict:
    return dict(
        type='ImageClassifier',
        backbone=backbone_cfg(out_type='avg_featmap', **backbone),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=24),
        data_preprocessor=PREPROCESSOR,
    )


@pytest.mark.parametrize(
    'scope, model, layer',
    [
        ('mmaction', VIDEO_CLASSIFIER, 'cls_head.fc_cls'),
        ('mmpretrain', image_classifier(type='mmpretrain.VisionTransformer'), 'head.fc'),
        ('mmpretrain', image_classifier(type='VisionTransformer', final_norm=False), 'head.fc'),
        ('mmpretrain', image_classifier(type='mmvidssl.MaskFeatViT', final_norm=False), 'head.fc'),
    ],
)
@torch.no_grad()
def test_what_a_classifier_sees(frames, scope, model, layer):
    """The norm of the mean of the tokens, where the last norm comes after the mean."""
    model = build(model, scope)
    seen = []
    model.get_submodule(layer).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    clips = torch.from_numpy(frames).permute(3, 0, 1, 2).float()
    inputs = (clips - 114.75) / 57.375
    if scope == 'mmaction':
        model(inputs.unflatten(1, (2, 4)).transpose(0, 1)[:, None], stage='head')
    else:
        model(inputs.transpose(0, 1))
    found = extract_features(model, frames)
    torch.testing.assert_close(found, seen[0])
    tokens = extract_features(model, frames, pool='none')
    assert not torch.allclose(tokens.mean(1), found, atol=1e-3)
    if scope == 'mmpretrain':
        several = extract_features(model, frames, layers=[0, -1])
        torch.testing.assert_close(several[:, 24:], found)
        means = extract_features(model, frames, layers=0, pool='none').mean(1)
        torch.testing.assert_close(several[:, :24], model.backbone.ln2(means))


def test_what_the_model_cannot_give_is_refused(dora, maskfeat, frames):
    with pytest.raises(ValueError, match='DINOViT has 2 blocks, got 2'):
        extract_features(dora, frames, layers=2)
    with pytest.raises(ValueError, match="pool must be one of .*'max'"):
        extract_features(dora, frames, pool='max')
    with pytest.raises(ValueError, match=r'got \[\]'):
        extract_features(dora, frames, layers=[])
    with pytest.raises(ValueError, match='MaskFeat has no teacher'):
        extract_features(maskfeat, frames, role='teacher')
    with pytest.raises(ValueError, match='Generator has no backbone'):
        FeatureExtractor(dora.target_generator)


@pytest.fixture
def folder(tmp_path):
    """Two images of different sizes and a video of 30 frames at 10 a second."""
    import cv2

    root = tmp_path / 'media'
    (root / 'below').mkdir(parents=True)
    for name, size in {'a.png': (48, 96), 'below/b.jpg': (120, 80)}.items():
        cv2.imwrite(str(root / name), draw_frame(3, size))
    write_video(root / 'c.mp4', num_frames=30, fps=10)
    return root


def test_files_keep_names_and_times(dora, folder, tmp_path):
    found = extract_features(dora, folder, sampling=SMALL, show_progress=False)
    assert found.names == ['a.png', 'below/b.jpg', 'c.mp4', 'c.mp4', 'c.mp4']
    np.testing.assert_allclose(found.times, [np.nan, np.nan, 0, 1, 2], atol=1e-3)
    clip = ClipResize(short_side=32).transform(dict(clip=read_image(folder / 'a.png')[None]))
    frame = ClipCenterCrop(32).transform(clip)['clip']
    torch.testing.assert_close(found.features[:1], extract_features(dora, frame))
    saved = np.load(found.save(tmp_path / 'new' / 'features.npz'))
    assert sorted(saved) == ['failed', 'features', 'names', 'reasons', 'times']
    np.testing.assert_array_equal(saved['features'], found.features.numpy())
    assert saved['names'].tolist() == found.names
    with pytest.raises(ValueError, match='f.parquet'):
        found.save('f.parquet')


@pytest.mark.parametrize('cfg', [dora_cfg, maskfeat_cfg])
def test_frames_are_of_the_size_that_the_model_was_built_for(cfg, folder):
    model, video = build(cfg()), folder / 'c.mp4'
    found = extract_features(model, video, show_progress=False).features
    by_hand = Sampling(short_side=37, crop_size=32)  # 256 and 224 for 224
    torch.testing.assert_close(
        found, extract_features(model, video, sampling=by_hand, show_progress=False).features
    )
    assert Sampling().for_frames_of(224)[2:] == (256, 224)
    assert Sampling(crop_size=112).for_frames_of(224)[2:] == (128, 112)


def test_two_files_are_never_called_the_same(dora, folder, tmp_path):
    other = tmp_path / 'other'
    other.mkdir()
    shutil.copy(folder / 'a.png', other / 'a.png')
    with pytest.raises(ValueError, match=r'other.a\.png') as info:
        write_features(tmp_path / 'f.npz', dora, [folder, other], None, sampling=SMALL)
    assert str(folder / 'a.png') in str(info.value)
    found = extract_features(dora, [folder / 'a.png', other / 'a.png'], sampling=SMALL)
    assert found.names == [str(folder / 'a.png'), str(other / 'a.png')]


def test_workers_and_progress_change_nothing(dora, folder, capsys):
    alone = extract_features(dora, folder, sampling=SMALL, show_progress=False)
    assert not any(capsys.readouterr())
    together = extract_features(dora, folder, sampling=SMALL, batch_size=2, num_workers=1)
    torch.testing.assert_close(together.features, alone.features)
    assert 'extracting features: 100%' in capsys.readouterr().err


def test_clips_of_a_video_lie_where_their_times_say(maskfeat, folder):
    from mmvidssl.apis.media import MediaSamples

    video = folder / 'c.mp4'
    media = MediaSamples([video], 4, Sampling(1.0, 2, 64, 64))
    assert [sample.time for sample in media.samples] == pytest.approx([0, 1, 2], abs=1e-3)
    assert [sample.frame_inds.tolist() for sample in media.samples] == [
        [0, 2, 4, 6],
        [10, 12, 14, 16],
        [20, 22, 24, 26],
    ]
    media.crop = SimpleNamespace(transform=lambda results: results)
    numbers = [read_frame_number(frame) for frame in media[1].permute(1, 2, 3, 0).numpy()]
    assert numbers == [10, 12, 14, 16]
    # A clip that does not fit repeats the last frame; there is always one.
    long = MediaSamples(video, 4, Sampling(1.0, 20, 64, 64))
    assert [sample.frame_inds.tolist() for sample in long.samples] == [[0, 20, 29, 29]]
    found = extract_features(maskfeat, video, sampling=SMALL, show_progress=False)
    assert found.features.shape == (3, 16) and set(found.names) == {str(video)}


def test_files_that_do_not_serve_are_named(dora, maskfeat, folder, tmp_path):
    (tmp_path / 'notes.txt').write_text('hello')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken.mp4').write_bytes(b'no video')
    for source, error, message in [
        ('none.jpg', FileNotFoundError, 'none.jpg'),
        (tmp_path / 'notes.txt', ValueError, 'notes.txt is neither'),
        (tmp_path / 'empty', ValueError, 'no file in .*empty'),
        (tmp_path / 'broken.mp4', OSError, 'broken.mp4'),
        ([], ValueError, 'no file is given'),
    ]:
        with pytest.raises(error, match=message):
            extract_features(dora, source, show_progress=False)
    with pytest.raises(ValueError, match='a.png is an image'):
        extract_features(maskfeat, folder, show_progress=False)
    with pytest.raises(ValueError, match='short_side=256, got 300'):
        extract_features(dora, folder, sampling=Sampling(short_side=256, crop_size=300))
    with pytest.raises(ValueError, match='every=0'):
        extract_features(dora, folder, sampling=Sampling(every=0))


def test_maskfeat_is_initialised_from_config_and_checkpoint(maskfeat, tmp_path):
    torch.save(dict(state_dict=maskfeat.state_dict()), tmp_path / 'epoch_1.pth')
    config = Config(dict(default_scope='mmvidssl', model=maskfeat_cfg()))
    again = init_model(config, tmp_path / 'epoch_1.pth')
    for name, value in again.state_dict().items():
        assert torch.equal(value, maskfeat.state_dict()[name]), name
    weights = {k: v for k, v in maskfeat.state_dict().items() if not k.endswith('rel_pos_h')}
    torch.save(weights, tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='MaskFeat: 3 of its'):
        init_model(config, tmp_path / 'part.pth')


def test_a_preprocessor_beside_the_model_counts(frames):
    """As in mmpretrain's configs, where MMEngine's runner hands it to the model."""
    beside = dict(mean=[10.0] * 3, std=[20.0] * 3, to_rgb=True)
    model = dict(
        type='ImageClassifier',
        backbone=backbone_cfg(),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=24),
    )
    config = Config(dict(default_scope='mmpretrain', model=model, data_preprocessor=beside))
    classifier = init_model(config)
    extractor = FeatureExtractor(classifier)
    assert extractor.mean.tolist() == [10] * 3 and extractor.std.tolist() == [20] * 3
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = classifier.backbone((pixels - 10) / 20)[-1]
    torch.testing.assert_close(extract_features(classifier, frames), expected)
    config.pop('data_preprocessor')
    with pytest.raises(ValueError, match='ClsDataPreprocessor has no'):
        extract_features(init_model(config), frames)
