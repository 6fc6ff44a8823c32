# DoRA's pre-training data (Venkataramanan et al., ICLR 2024): Walking Tours, clips of 8 frames 1 s
# apart; one global view of 224 px, six local views of 112 px.
#
# Everything below follows the released code (class DataAugmentationDINO of its main.py), each value
# with its place there. The paper's appendix was not at hand: where it says otherwise is not known.
#
# Time: the released code takes frames 60 apart (README: --step_between_clips 60), which in its 60
# frames/s videos is the paper's 1 s. Here the distance is 1 s in any video: in one of 30 frames/s,
# 60 frames would be 2 s.
dataset_type = 'WalkingToursDataset'
data_root = 'data/walking_tours'

# flip_and_color_jitter, whose flip is commented out; for each frame by itself, in all views.
color_transforms = [
    dict(
        type='ClipColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        prob=0.8,
        per_frame=True,
    ),
    dict(type='ClipRandomGrayscale', prob=0.2, per_frame=True),
]

global_transforms = [
    # vid_crop: RandomResizedCropVideo(224, (0.4, 1)) and RandomHorizontalFlipVideo(0.5), for
    # all frames alike; that crop is bilinear and not antialiased.
    dict(
        type='ClipRandomResizedCrop',
        size=224,
        scale=(0.4, 1.0),
        interpolation='bilinear',
        antialias=False,
    ),
    dict(type='ClipRandomFlip', prob=0.5),
    *color_transforms,
    # global_transfo1: utils.GaussianBlur(0.1), a probability (DINO's first global view has 1.0).
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=0.1, per_frame=True, kernel='pil'),
]

local_transforms = [
    # local_transfo: RandomResizedCrop(112, (0.05, 0.4), BICUBIC) on PIL images, which antialias;
    # for each frame by itself, and not flipped.
    dict(
        type='ClipRandomResizedCrop',
        size=112,
        scale=(0.05, 0.4),
        interpolation='bicubic',
        per_frame=True,
    ),
    *color_transforms,
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=0.5, per_frame=True, kernel='pil'),
]

train_pipeline = [
    dict(type='DecodeClip', short_side=None, max_open=4),
    # init_aug: RandomResizedCropVideo(300, (0.2, 1)), for all frames alike, shared by all views.
    dict(
        type='ClipRandomResizedCrop',
        size=300,
        scale=(0.2, 1.0),
        interpolation='bilinear',
        antialias=False,
    ),
    dict(
        type='ClipMultiCrop',
        global_transforms=global_transforms,
        local_transforms=local_transforms,
        num_global_views=1,  # the second one is commented out, and solarisation with it
        num_local_views=6,
    ),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=10,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='ClipSampler', shuffle=True),
    # as pseudo_collate, but also takes lists of samples (RepeatAugment)
    collate_fn=dict(type='mmvidssl.flat_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        cities=['venice'],
        clip_len=8,
        frame_interval=1.0,
        interval_unit='seconds',
        start_stride=1,
        reader=dict(type='PyAVReader', num_threads=1),
        pipeline=train_pipeline,
    ),
)
