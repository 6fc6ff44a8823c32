# MaskFeat's pre-training data on images (Wei et al., CVPR 2022, Sec. 5): ImageNet-1k, a crop of
# 224 px and a flip, no colour changes; blocks of a 14 x 14 window masked, 78 of 196 cells. An image
# is a clip of one frame. No label is used.
#
# As in the official code: bicubic resizing, blocks of a fifth to all of the masked cells.
dataset_type = 'ImageListDataset'
data_root = 'data/imagenet'

train_pipeline = [
    dict(type='LoadImageClip'),
    dict(
        type='ClipRandomResizedCrop',
        size=224,
        scale=(0.5, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='ClipRandomFlip', prob=0.5),
    dict(
        type='BlockMask',
        mask_window=(14, 14),
        mask_ratio=0.4,
        min_num_patches=15,
        max_num_patches=78,
        aspect_ratio=(0.3, 1 / 0.3),
        exact=False,
    ),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='ClipSampler', shuffle=True),
    collate_fn=dict(type='mmvidssl.flat_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img='train'),
        pipeline=train_pipeline,
    ),
)
