# Attentive probe of an MViTv2-S of MaskFeat on your own videos: all tokens of a clip; 20 epochs.
#
# Paper:    none: MaskFeat was not evaluated so. Pooling, optimizer and schedule are those of V-JEPA's
#           attentive probe, its rate for a smaller batch; nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/kinetics/attentive_mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-20e_own-data.py
_base_ = './linear_mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-20e_own-data.py'

model = dict(
    neck=dict(type='mmvidssl.AttentivePooling', in_channels=768, num_heads=8),
    cls_head=dict(
        _delete_=True,
        type='I3DHead',
        in_channels=768,
        num_classes=_base_.num_classes,
        topk=(1, min(5, _base_.num_classes)),
        dropout_ratio=0.0,
        average_clips='prob',
    ),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.01)
)
