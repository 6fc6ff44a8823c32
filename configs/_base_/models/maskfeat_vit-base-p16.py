# MaskFeat (Wei et al., CVPR 2022) on ViT-B/16, images of 224 px.
_base_ = 'maskfeat_mvit-small.py'

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='MaskFeatViT',
        arch='base',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.0,
        final_norm=True,
        out_type='raw',
    ),
)
