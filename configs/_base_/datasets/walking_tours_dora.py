# DoRA's pre-training data (Venkataramanan et al., ICLR 2024): Walking Tours, clips of 8 frames 1 s
# apart; one global view of 224 px, six local views of 112 px.
#
# As in the official code: a crop of 300 px shared by all views; the global crop and flip are the
# same in all frames of a clip, while local crops and all colour changes are drawn per frame; no
# solarisation, no second global view.
# From DINO, because the paper's appendix was not at hand: the strength of the colour changes and
# the probabilities of blur (1.0 on the global view, 0.5 on the local ones).
dataset_type = 'WalkingToursDataset'
data_root = 'data/walking_tours'

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
    dict(type='ClipRandomResizedCrop', size=224, scale=(0.4, 1.0), interpolation='bicubic'),
    dict(type='ClipRandomFlip', prob=0.5),
    *color_transforms,
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=1.0, per_frame=True, kernel='pil'),
]

local_transforms = [
    dict(
        type='ClipRandomResizedCrop',
        size=112,
        scale=(0.05, 0.4),
        interpolation='bicubic',
        per_frame=True,
    ),
    dict(type='ClipRandomFlip', prob=0.5, per_frame=True),
    *color_transforms,
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=0.5, per_frame=True, kernel='pil'),
]

train_pipeline = [
    dict(type='DecodeClip', short_side=None, max_open=4),
    dict(type='ClipRandomResizedCrop', size=300, scale=(0.2, 1.0), interpolation='bicubic'),
    dict(
        type='ClipMultiCrop',
        global_transforms=global_transforms,
        local_transforms=local_transforms,
        num_global_views=1,
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
    collate_fn=dict(type='pseudo_collate'),
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
