# DINO's pre-training data (Caron et al., ICCV 2021) with Walking Tours in place of ImageNet: a
# sample is one frame; two global views of 224 px, eight local views of 96 px.
#
# Everything below follows the defaults of the released code (class DataAugmentationDINO and the
# arguments of its main_dino.py).
_base_ = ['walking_tours_dora.py']

# RandomResizedCrop(224, global_crops_scale, BICUBIC) and flip_and_color_jitter, of both views.
crop_flip_color = [
    dict(
        type='ClipRandomResizedCrop',
        size=224,
        scale=(0.4, 1.0),
        interpolation='bicubic',
    ),
    dict(type='ClipRandomFlip', prob=0.5),
    *_base_.color_transforms,
]

# global_transfo1: GaussianBlur(1.0); global_transfo2: GaussianBlur(0.1) and Solarization(0.2).
global_transforms = [
    *crop_flip_color,
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=1.0, kernel='pil'),
]
extra_global_transforms = [
    *crop_flip_color,
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=0.1, kernel='pil'),
    dict(type='ClipSolarize', threshold=128, prob=0.2),
]

# local_transfo: GaussianBlur(p=0.5).
local_transforms = [
    dict(
        type='ClipRandomResizedCrop',
        size=96,
        scale=(0.05, 0.4),
        interpolation='bicubic',
    ),
    dict(type='ClipRandomFlip', prob=0.5),
    *_base_.color_transforms,
    dict(type='ClipGaussianBlur', sigma=(0.1, 2.0), prob=0.5, kernel='pil'),
]

train_pipeline = [
    dict(type='DecodeClip', short_side=None, max_open=4),
    dict(
        type='ClipMultiCrop',
        global_transforms=global_transforms,
        extra_global_transforms=extra_global_transforms,
        local_transforms=local_transforms,
        num_global_views=2,
        num_local_views=8,
    ),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(batch_size=128, dataset=dict(clip_len=1, pipeline=train_pipeline))
