# Linear probe of an MViTv2-S of MaskFeat on your own videos: the mean token of a clip; 20 epochs.
#
# Paper:    none: MaskFeat was not evaluated so. Optimizer and rates are those of DINO's linear probe
#           of images, crops and frames those of fine-tuning; nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_videos PRETRAINED=CHECKPOINT \
#           python tools/train.py \
#           configs/downstream/kinetics/linear_mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-20e_own-data.py
_base_ = './mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-50e_own-data.py'

model = dict(
    data_preprocessor=dict(blending=None),
    # As it was pretrained, without the downscaling that fine-tuning restores and has to learn.
    backbone=dict(
        _delete_=True,
        type='mmvidssl.MaskFeatMViT',
        arch='small',
        spatial_size=224,
        temporal_size=16,
        drop_path_rate=0.0,
        dim_mul_in_attention=False,
        output_cls_token=False,
        frozen_stages=16,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.pretrained, prefix='backbone.'),
    ),
    cls_head=dict(init_scale=1.0, label_smooth_eps=0.0),
)

# DINO's rate for 256 images; a batch is of 8 videos, each shown twice, of 16 frames.
optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0),
)
param_scheduler = [dict(type='mmvidssl.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=20)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.DataFailureHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
