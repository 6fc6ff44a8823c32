"""MaskFeat's fine-tuning and testing against PySlowFast's configs and data."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, FUNCTIONS, TRANSFORMS, init_default_scope
from mmengine.runner import Runner

from mmvidssl.datasets import SampleClip
from mmvidssl.registry import MODELS
from tests.test_downstream import utils
from tests.test_downstream.utils_action import shrink_clips, write_videos
from tests.test_downstream.utils_dense import configs_of, read_config
from tests.test_downstream.utils_pretraining import CONFIGS
from tests.utils_video import write_video

KINETICS, IMAGENET = configs_of('kinetics'), configs_of('imagenet')
SMALL = 'mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400'
PAPER = SMALL.replace('100e', 'paper-200e')
SCRATCH = 'mvit-small_scratch_16xb16-amp-16x4x1-200e_k400'
LARGE = 'mvit-large_maskfeat-k400-pre_32xb8-amp-16x4x1-75e_k400'
VIT_BASE = 'vit-base-p16_maskfeat-in1k-pre_8xb256-amp-coslr-100e_in1k'
VIT_LARGE = 'vit-large-p16_maskfeat-in1k-pre_8xb128-amp-coslr-50e_in1k'

MIXED = dict(ALPHA=0.8, CUTMIX_ALPHA=1.0, LABEL_SMOOTH_VALUE=0.1)
ERASED = dict(RE_PROB=0.25, RE_MODE='pixel')
ADAMW = dict(OPTIMIZING_METHOD='adamw', WEIGHT_DECAY=0.05, BETAS=(0.9, 0.999))
# The files' own, and defaults.py's where a file says nothing: TARGET_FPS, BETAS,
# NUM_ENSEMBLE_VIEWS, IN_VAL_CROP_RATIO.
OF_CLIPS = dict(
    **MIXED,
    **ERASED,
    **ADAMW,
    NUM_FRAMES=16,
    SAMPLING_RATE=4,
    TARGET_FPS=30,
    TRAIN_JITTER_SCALES_RELATIVE=(0.08, 1.0),
    TRAIN_JITTER_SCALES=256,
    TRAIN_CROP_SIZE=224,
    TEST_CROP_SIZE=224,
    NUM_SPATIAL_CROPS=1,
    COLOR_JITTER=None,  # in k400_MVITv2_S_16x4_FT 0.4, which no line of kinetics.py reads
)
FINETUNED = dict(
    OF_CLIPS,
    AA_TYPE=(7, 0.5, 2),
    CLIP_GRAD_L2NORM=5.0,
    NUM_ENSEMBLE_VIEWS=10,
    BASE_LR=6e-4,
    HEAD_INIT_SCALE=0.001,
    DROPOUT_RATE=0.0,
)
RELEASED = {
    # k400_MVITv2_S_16x4_FT, k400_MVITv2_L_16x4_FT and Kinetics/MVITv2_S_16x4
    SMALL: dict(FINETUNED, LAYER_DECAY=0.75, DROPPATH_RATE=0.1, NUM_SAMPLE=2),
    LARGE: dict(FINETUNED, LAYER_DECAY=0.875, DROPPATH_RATE=0.2, NUM_SAMPLE=1),
    SCRATCH: dict(
        OF_CLIPS,
        AA_TYPE=(7, 0.5, 4),
        CLIP_GRAD_L2NORM=1.0,
        NUM_ENSEMBLE_VIEWS=5,
        BASE_LR=1e-4,
        HEAD_INIT_SCALE=1.0,
        DROPOUT_RATE=0.5,
        LAYER_DECAY=1.0,
        DROPPATH_RATE=0.2,
        NUM_SAMPLE=2,
    ),
}
IMAGES = dict(
    **MIXED,
    **ERASED,
    **ADAMW,
    AA_TYPE=(9, 0.5, 2),
    COLOR_JITTER=None,  # the file's 0.4 is for images without AA_TYPE (transforms_imagenet_train)
    CLIP_GRAD_L2NORM=None,
    DROPPATH_RATE=0.1,
    TEST=(256, 'bicubic', 224),  # 224 / IN_VAL_CROP_RATIO, _prepare_im_tf
)


def augmentation(cfg):
    """The steps of training, and how often a video is shown."""
    *steps, last = cfg.train_dataloader.dataset.pipeline
    if last.type == 'mmvidssl.RepeatAugment':
        assert cfg.train_dataloader.collate_fn.type == 'mmvidssl.flat_collate'
        return [*steps, *last.transforms], last.num_repeats
    return [*steps, last], 1


def common_values(cfg, steps):
    wrapper, erase = cfg.optim_wrapper, steps['RandomErasing']
    return dict(
        RE_PROB=erase.erase_prob,
        RE_MODE='pixel' if erase.mode == 'rand' and erase.fill_std else erase.mode,
        COLOR_JITTER='ColorJitter' if 'ColorJitter' in steps else None,
        OPTIMIZING_METHOD=wrapper.optimizer.type.lower(),
        WEIGHT_DECAY=wrapper.optimizer.weight_decay,
        BETAS=wrapper.optimizer.betas,
        CLIP_GRAD_L2NORM=wrapper.clip_grad and wrapper.clip_grad.max_norm,
        DROPPATH_RATE=cfg.model.backbone.drop_path_rate,
    )


@pytest.mark.parametrize('name', RELEASED)
def test_values_of_clips(name):
    cfg = Config.fromfile(KINETICS[name])
    listed, num_repeats = augmentation(cfg)
    assert [step.type for step in listed].index('mmvidssl.ClipRandAugment') == 4  # then the crop
    steps = {step.type: step for step in listed if 'keep_ratio' not in step}
    tests = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
    augment, head, frames = (steps['mmvidssl.ClipRandAugment'], cfg.model.cls_head, 'SampleFrames')
    blending = cfg.model.data_preprocessor.blending
    assert blending.type == 'RandomBatchAugment' and 'probs' not in blending  # SWITCH_PROB: 0.5
    mixup, cutmix = blending.augments
    assert (mixup.type, cutmix.type) == ('MixupBlending', 'CutmixBlending')
    assert steps['RandomResizedCrop'].get('aspect_ratio_range', (3 / 4, 4 / 3)) == (3 / 4, 4 / 3)
    for step in (steps[frames], tests[frames]):
        assert step.out_of_bound_opt == 'repeat_last'
        assert (step.clip_len, step.frame_interval, step.target_fps) == (16, 4, 30)
    assert steps['Resize'].scale == tests['Resize'].scale  # TRAIN_JITTER_SCALES[0], both times
    values = common_values(cfg, steps) | dict(
        ALPHA=mixup.alpha,
        CUTMIX_ALPHA=cutmix.alpha,
        LABEL_SMOOTH_VALUE=head.label_smooth_eps,
        NUM_FRAMES=steps[frames].clip_len,
        SAMPLING_RATE=steps[frames].frame_interval,
        TARGET_FPS=steps[frames].target_fps,
        TRAIN_JITTER_SCALES_RELATIVE=steps['RandomResizedCrop'].area_range,
        TRAIN_JITTER_SCALES=tests['Resize'].scale[1],
        TRAIN_CROP_SIZE=next(s.scale[0] for s in listed if 'keep_ratio' in s),
        TEST_CROP_SIZE=tests['CenterCrop'].crop_size,
        NUM_SPATIAL_CROPS=1 if 'CenterCrop' in tests else 3,
        NUM_ENSEMBLE_VIEWS=tests[frames].num_clips,
        AA_TYPE=(augment.magnitude, augment.magnitude_std, augment.num_ops),
        BASE_LR=pytest.approx(16 * cfg.optim_wrapper.optimizer.lr / 256),
        LAYER_DECAY=cfg.optim_wrapper.paramwise_cfg.layer_decay_rate,
        HEAD_INIT_SCALE=head.init_scale,
        DROPOUT_RATE=head.dropout_ratio,
        NUM_SAMPLE=num_repeats,
    )
    assert values == RELEASED[name]
    assert cfg.auto_scale_lr.base_batch_size == 256


@pytest.mark.parametrize('name', [VIT_BASE, VIT_LARGE])
def test_values_of_images(name):
    """Rates and lengths are in test_imagenet.py."""
    cfg = Config.fromfile(IMAGENET[name])
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    tests = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
    assert cfg.val_dataloader.dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    augment, resize = steps['RandAugment'], tests['ResizeEdge']
    mixup, cutmix = cfg.model.train_cfg.augments
    assert (mixup.type, cutmix.type) == ('Mixup', 'CutMix')
    assert (augment.policies, augment.total_level) == ('timm_increasing', 10)
    assert common_values(cfg, steps) | dict(
        ALPHA=mixup.alpha,
        CUTMIX_ALPHA=cutmix.alpha,
        LABEL_SMOOTH_VALUE=cfg.model.head.loss.label_smooth_val,
        AA_TYPE=(augment.magnitude_level, augment.magnitude_std, augment.num_policies),
        TEST=(resize.scale, resize.get('interpolation'), tests['CenterCrop'].crop_size),
    ) == dict(IMAGES)


def test_the_paper_s_variant_differs_in_length_and_shows_alone():
    cfg, released = (Config.fromfile(KINETICS[name]) for name in (PAPER, SMALL))
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[0].warmup) == (200, 5)
    (steps, shown), (others, twice) = augmentation(cfg), augmentation(released)
    assert steps == others and (shown, twice) == (1, 2)
    for key in ('model', 'optim_wrapper', 'val_dataloader', 'test_dataloader', 'auto_scale_lr'):
        assert cfg[key] == released[key]


def released_frames(num_frames, fps, clip=None, num_clips=10, start=None):
    """Frame numbers as torchvision_decode, get_multiple_start_end_idx and temporal_sampling have
    them, for 16 x 4 frames at 30 a second and USE_OFFSET_SAMPLING."""
    size = max(1.0, 4 * 16 / 30 * fps)
    room = max(num_frames - size, 0)
    if start is None:
        start = clip * np.floor(room / (num_clips - 1)) if num_clips > 1 else np.floor(room / 2)
    return np.clip(start + np.linspace(0, size - 1, 16), 0, num_frames - 1).astype(int)


RATES = pytest.mark.parametrize('fps', [25.0, 30000 / 1001, 30.0, 60.0])


def sampler_of(loader):
    init_default_scope('mmaction')
    (step,) = (step for step in loader.dataset.pipeline if step.type == 'SampleFrames')
    return TRANSFORMS.build(step)


@RATES
@pytest.mark.parametrize('seconds', [3, 10])
@pytest.mark.parametrize('name', [SMALL, SCRATCH])
def test_frames_of_tests(name, seconds, fps):
    """Of 10 clips (5 from scratch) and of the one of validation, whatever the video's rate."""
    cfg, num_frames = Config.fromfile(KINETICS[name]), round(seconds * fps)
    video = dict(total_frames=num_frames, avg_fps=fps, start_index=0)
    for loader, number in (
        (cfg.test_dataloader, 10 - 5 * (name == SCRATCH)),
        (cfg.val_dataloader, 1),
    ):
        found = sampler_of(loader).transform(dict(video))['frame_inds'].reshape(number, 16)
        expected = [released_frames(num_frames, fps, clip, number) for clip in range(number)]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('name', [name for name in KINETICS if name.startswith('mvit')])
def test_all_mvits_sample_at_30_a_second(name):
    cfg = read_config(KINETICS[name])
    for part in ('train', 'val', 'test'):
        pipeline = cfg[f'{part}_dataloader'].dataset.pipeline
        (step,) = (step for step in pipeline if step.type == 'SampleFrames')
        assert (step.target_fps, step.out_of_bound_opt) == (30, 'repeat_last')


@RATES
def test_frames_of_training(fps):
    """From every whole frame alike, in fine-tuning and in pretraining, to the last that fits."""
    num_frames = round(3 * fps)
    pretraining = Config.fromfile(CONFIGS / '_base_/datasets/kinetics400_maskfeat.py')
    clips = SampleClip(**{k: v for k, v in pretraining.train_pipeline[0].items() if k != 'type'})
    frames = sampler_of(Config.fromfile(KINETICS[LARGE]).train_dataloader)
    reader, rng = SimpleNamespace(num_frames=num_frames, fps=fps), np.random.default_rng(0)
    video = dict(total_frames=num_frames, avg_fps=fps, start_index=0)
    np.random.seed(0)  # noqa: NPY002  (mmaction2 draws from it)
    draws = (
        lambda: clips._choose_frames(reader, rng),
        lambda: frames.transform(dict(video))['frame_inds'],
    )
    last = int(num_frames - 4 * 16 / 30 * fps)
    for draw in draws:
        starts = set()
        for _ in range(12 * last):
            found = draw()
            expected = released_frames(num_frames, fps, start=found[0])
            np.testing.assert_array_equal(found, expected)
            starts.add(int(found[0]))
        assert starts == set(range(last + 1))


def test_frames_of_a_video_shorter_than_a_clip():
    """PySlowFast goes on with the last frame of the video, mmaction2 with the last that it drew."""
    reader = SimpleNamespace(num_frames=60, fps=30.0)
    expected = [*range(0, 16, 4), 16, 21, 25, 29, 33, 37, 42, 46, 50, 54, 58, 59]
    assert released_frames(60, 30.0, start=0).tolist() == expected
    found = SampleClip(target_fps=30)._choose_frames(reader, np.random.default_rng(0))
    assert found.tolist() == expected
    sampler = sampler_of(Config.fromfile(KINETICS[SMALL]).test_dataloader)
    found = sampler.transform(dict(total_frames=60, avg_fps=30.0, start_index=0))['frame_inds']
    assert found[:16].tolist() == [*expected[:-1], 58]


def test_the_middle_clip_is_that_of_a_single_test_clip():
    reader = SimpleNamespace(num_frames=250, fps=25.0)
    found = SampleClip(target_fps=30, position='center')._choose_frames(reader, None)
    np.testing.assert_array_equal(found, released_frames(250, 25.0, num_clips=1))


@pytest.mark.parametrize('kwargs', [dict(target_fps=0), dict(interval_unit='seconds')])
def test_impossible_rates(kwargs):
    with pytest.raises(ValueError, match='target_fps'):
        SampleClip(**{'target_fps': 30, **kwargs})


@pytest.mark.parametrize('fps', [25, 60])
def test_both_shows_of_a_video_have_the_same_frames_at_30_a_second(fps, tmp_path):
    """With the file's own rate, read once; mmaction2's RepeatAugDataset hides it."""
    cfg = Config.fromfile(KINETICS[SMALL])
    write_video(tmp_path / 'a.mp4', num_frames=3 * fps, fps=fps, size=(64, 96))
    (tmp_path / 'list.txt').write_text('a.mp4 7')
    dataset = cfg.train_dataloader.dataset
    dataset.update(ann_file=str(tmp_path / 'list.txt'), data_prefix=dict(video=str(tmp_path)))
    init_default_scope('mmaction')
    utils.register_all_modules(init_default_scope=False)
    built, drawn, decoded = DATASETS.build(dataset), [], []
    sample, decode = built.pipeline.transforms[1:3]
    for step, seen in ((sample, drawn), (decode, decoded)):
        original = step.transform
        step.transform = lambda results, f=original, s=seen: s.append(f(results)) or s[-1]
    shows = built[0]
    (inds,) = (results['frame_inds'] for results in drawn)
    expected = released_frames(3 * fps, fps, start=inds[0])
    np.testing.assert_array_equal(inds, expected)
    first, second = (show['inputs'] for show in shows)
    assert len(decoded) == 1 and first.shape == second.shape == (1, 3, 16, 224, 224)
    assert not torch.equal(first, second)
    assert [int(show['data_samples'].gt_label) for show in shows] == [7, 7]
    batch = FUNCTIONS.get('mmvidssl.flat_collate')([shows, shows])
    assert len(batch['inputs']) == len(batch['data_samples']) == 4


@pytest.mark.parametrize(('short_side', 'rows'), [(None, (16, 239)), (224, (0, 223))])
def test_rows_of_tests(short_side, rows):
    """The rows of 256 that tests see: 6 to 94 %; with the option of the docs, all (of 224)."""
    init_default_scope('mmaction')
    cfg = Config.fromfile(KINETICS[SMALL])
    if short_side is not None:
        cfg.merge_from_dict({'test_dataloader.dataset.pipeline.3.scale': (-1, short_side)})
    steps = [
        TRANSFORMS.build(step)
        for step in cfg.test_dataloader.dataset.pipeline
        if step.type in ('Resize', 'CenterCrop')
    ]
    height = short_side or 256
    frame = np.zeros((height, height * 4 // 3, 3), np.uint8)
    frame += np.arange(height, dtype=np.uint8)[:, None, None]
    results = dict(imgs=[frame], img_shape=frame.shape[:2])
    for step in steps:
        results = step.transform(results)
    (seen,) = results['imgs']
    assert seen.shape == (224, 224, 3)
    assert (seen[0, 0, 0], seen[-1, 0, 0]) == rows


@pytest.mark.parametrize('fresh', [True, False])
def test_the_last_norm(fresh, pretrained, tmp_path):
    """New, as PySlowFast's ``_init_weights`` makes it, or that of pretraining; a fine-tuned one
    goes on in either."""
    utils.register_all_modules(init_default_scope=False)
    cfg = dict(type='mmvidssl.PooledMViT', arch=utils.FINETUNING_ARCH, spatial_size=64)
    cfg.update(temporal_size=4, fresh_norm=fresh)
    cfg['init_cfg'] = dict(
        type='Pretrained', checkpoint=str(pretrained.maskfeat), prefix='backbone.'
    )
    model = MODELS.build(cfg)
    model.init_weights()
    saved = torch.load(pretrained.maskfeat, weights_only=True)['state_dict']
    found = model.norm3.state_dict()
    old = {key: saved[f'backbone.norm2.{key}'] for key in found}
    new = dict(weight=torch.ones_like(old['weight']), bias=torch.full_like(old['bias'], 0.02))
    assert not torch.equal(old['bias'], new['bias'])
    for key, expected in (new if fresh else old).items():
        assert torch.equal(found[key], expected)
    torch.nn.init.normal_(model.norm3.bias)
    weights = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    cfg['init_cfg']['checkpoint'] = str(tmp_path / 'fine-tuned.pth')
    torch.save(dict(state_dict=weights), cfg['init_cfg']['checkpoint'])
    again = MODELS.build(cfg)
    again.init_weights()
    assert torch.equal(again.norm3.bias, model.norm3.bias)


def test_from_scratch_trains(monkeypatch, tmp_path):
    data = tmp_path / 'data/kinetics400'
    write_videos(data / 'videos_train', data / 'kinetics400_train_list_videos.txt', 4)
    write_videos(data / 'videos_val', data / 'kinetics400_val_list_videos.txt', 2)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(KINETICS[SCRATCH])
    for part in ('train', 'val', 'test'):
        shrink_clips(cfg[f'{part}_dataloader'].dataset.pipeline)
    cfg.model.backbone.update(arch=utils.FINETUNING_ARCH, spatial_size=64, temporal_size=4)
    cfg.model.cls_head.in_channels = utils.MVIT_WIDTH
    runner = Runner.from_cfg(utils.shrink_runner(cfg, tmp_path / 'run'))
    runner.train()
    assert runner.iter == 2
    assert len(next(iter(runner.train_dataloader))['inputs']) == 4
    assert 'acc/top1' in runner.test()
