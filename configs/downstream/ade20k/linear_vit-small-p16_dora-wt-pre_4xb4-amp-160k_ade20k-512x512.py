# A linear layer on ADE20K, on four blocks of a frozen ViT-S/16 of DoRA or DINO; 160000 iterations.
#
# Paper:    none: no number of DoRA's was found. The protocol is iBOT's, which states its learning
#           rate, 8e-4, for ViT-B; which one DoRA took for ViT-S was not found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/ade20k/linear_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512.py 4 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: ADE20K, its augmentation, the test by windows, the schedule.
_base_ = './upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(frozen_stages=12, drop_path_rate=0.0),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=[384] * 4,
        in_index=[0, 1, 2, 3],
        input_transform='resize_concat',
        channels=1536,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=150,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=None,
)

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=8e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=None,
)
