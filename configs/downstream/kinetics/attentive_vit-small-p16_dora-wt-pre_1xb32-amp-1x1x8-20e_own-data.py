# Attentive probe of a ViT-S/16 of DoRA or DINO on your own videos: all patches of 8 frames.
#
# Paper:    none: DoRA was not evaluated there. Pooling, optimizer and schedule are those of V-JEPA's
#           attentive probe, its rate for a smaller batch; nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/kinetics/attentive_vit-small-p16_dora-wt-pre_1xb32-amp-1x1x8-20e_own-data.py
_base_ = './linear_vit-small-p16_dora-wt-pre_1xb32-amp-1x1x8-20e_own-data.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvidssl.DINOViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        frozen_stages=12,
        out_type='featmap',
        final_norm=True,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.pretrained, prefix=_base_.prefix),
    ),
    neck=dict(type='mmvidssl.AttentivePooling', in_channels=384, num_heads=6),
    cls_head=dict(spatial_type='avg'),
)
# One crop, since the attentive query looks at all patches of the video.
test_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01)
)
