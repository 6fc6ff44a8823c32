# Features of a frozen ViT-S/16 of DoRA or DINO: the class token of the last block, after its norm.
model = dict(
    type='FrozenEncoder',
    backbone=dict(
        type='DINOViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        out_type='cls_token',
        final_norm=True,
        interpolate_offset=0.0,  # 0.1 for DINO's and DoRA's released weights
    ),
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    layers=-1,
    pool='class',
)
