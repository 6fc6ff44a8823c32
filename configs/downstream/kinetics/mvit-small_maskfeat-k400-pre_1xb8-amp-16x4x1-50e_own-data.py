# A classifier of your own videos, from an MViTv2-S of MaskFeat; 50 epochs.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos CLASSES=juggling,sleeping PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/kinetics/mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-50e_own-data.py
_base_ = './mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400.py'

# What is yours: set these variables in the environment, or their defaults here in a copy beside
# this file. The folder holds the videos and the lists train.txt and val.txt: the path of a video in
# the folder, a space, and the place of its class in the list of classes, from 0. If classes.txt lies
# beside the lists, the classes must be those of that file, in its order.
data_root = '{{$DATA_ROOT:data/my_videos}}'
classes = '{{$CLASSES:juggling,sleeping}}'.split(',')
pretrained = '{{$PRETRAINED:work_dirs/maskfeat/epoch_300.pth}}'

num_classes = len(classes)
model = dict(
    data_preprocessor=dict(
        blending=dict(
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1, num_classes=num_classes),
            ]
        )
    ),
    backbone=dict(init_cfg=dict(checkpoint=pretrained)),
    cls_head=dict(num_classes=num_classes, topk=(1, min(5, num_classes))),
)

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        ann_file=f'{data_root}/train.txt',
        data_prefix=dict(video=data_root),
        metainfo=dict(classes=classes),
    ),
)
val_dataloader = dict(
    num_workers=4,
    dataset=dict(
        ann_file=f'{data_root}/val.txt',
        data_prefix=dict(video=data_root),
        metainfo=dict(classes=classes),
    ),
)
test_dataloader = dict(
    num_workers=4,
    dataset=dict(
        ann_file=f'{data_root}/val.txt',
        data_prefix=dict(video=data_root),
        metainfo=dict(classes=classes),
    ),
)

# The rule of the released code, by whose batch of 16 videos the rate of 6e-4 is multiplied: here 8.
optim_wrapper = dict(optimizer=dict(lr=3e-4))
auto_scale_lr = dict(enable=True, base_batch_size=8)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.1,
        start_ratio=1 / 600,
        eta_min_ratio=1 / 600,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=50)
