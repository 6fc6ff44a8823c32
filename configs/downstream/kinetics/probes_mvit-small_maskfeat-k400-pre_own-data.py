# k-NN and a linear probe on your own videos, by a frozen MViTv2-S of MaskFeat.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos python tools/test.py \
#           configs/downstream/kinetics/probes_mvit-small_maskfeat-k400-pre_own-data.py CHECKPOINT
_base_ = '../../_base_/frozen_runtime.py'

import os

from mmvidssl.data_checks import read_class_file

# The folder holds the videos and three lists, which tools/datasets/list_videos.py writes:
# classes.txt, train.txt and val.txt.
data_root = os.environ.get('DATA_ROOT', 'data/my_videos')
classes = read_class_file(f'{data_root}/classes.txt')

# The backbone as it was pretrained: without the last downscaling.
model = dict(
    type='FrozenEncoder',
    backbone=dict(
        type='MaskFeatMViT',
        arch='small',
        spatial_size=224,
        temporal_size=16,
        drop_path_rate=0.0,
        dim_mul_in_attention=False,
    ),
    mean=[114.75] * 3,
    std=[57.375] * 3,
    layers=-1,
    pool='mean',
)

# The feature of a video is the mean over four evenly spaced clips.
dataset = dict(
    type='mmvidssl.VideoListDataset',
    _scope_='mmaction',
    data_root=data_root,
    data_prefix=dict(video=''),
    metainfo=dict(classes=classes),
    test_mode=True,
)
loading = [
    dict(type='mmvidssl.VideoInit'),
    dict(
        type='SampleFrames',
        clip_len=16,
        frame_interval=4,
        target_fps=30,
        out_of_bound_opt='repeat_last',
        num_clips=4,
        test_mode=True,
    ),
    dict(type='mmvidssl.VideoDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
]
packing = dict(type='PackActionInputs', meta_keys=('filename', 'split'))
train_pipeline = [*loading, dict(type='mmvidssl.SetKeys', split='train'), packing]
test_pipeline = [*loading, dict(type='mmvidssl.SetKeys', split='val'), packing]
test_dataloader = dict(
    batch_size=4,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(**dataset, ann_file='train.txt', pipeline=train_pipeline),
            dict(**dataset, ann_file='val.txt', pipeline=test_pipeline),
        ],
    ),
)
# With fewer training videos than that, use fewer neighbours.
test_evaluator = [
    dict(type='KNNMetric', k=[10, 20], temperature=0.07),
    dict(type='LinearProbeMetric'),
]
