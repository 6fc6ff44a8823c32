# k-NN on ImageNet-1k by the class tokens of a frozen ViT-S/16 of DoRA or DINO.
#
# Paper:    none: the number was not found. The protocol is DINO's.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/imagenet/knn_vit-small-p16_dora-wt-pre_in1k.py CHECKPOINT
_base_ = ['../../_base_/models/frozen_vit-small-p16.py', '../../_base_/frozen_runtime.py']

model = dict(bgr_to_rgb=True)

data_root = 'data/imagenet'
dataset = dict(type='mmpretrain.CustomDataset', data_root=data_root)
loading = [
    dict(type='LoadImageFromFile'),
    dict(
        type='mmpretrain.ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='mmpretrain.CenterCrop', crop_size=224),
]
packing = dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'split'))
train_pipeline = [*loading, dict(type='mmvidssl.SetKeys', split='train'), packing]
test_pipeline = [*loading, dict(type='mmvidssl.SetKeys', split='val'), packing]
test_dataloader = dict(
    batch_size=128,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(**dataset, data_prefix='train', pipeline=train_pipeline),
            dict(**dataset, data_prefix='val', pipeline=test_pipeline),
        ],
    ),
)
test_evaluator = [dict(type='KNNMetric', k=[10, 20, 100, 200], temperature=0.07)]
