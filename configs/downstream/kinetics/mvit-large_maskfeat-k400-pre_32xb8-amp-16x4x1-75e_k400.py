# Kinetics-400 from an MViTv2-L that MaskFeat pretrained there; 75 epochs.
#
# Paper:    84.3 top-1 (10 clips x 1 crop) after 800 epochs of pretraining, 1.2 less after 300
#           (PySlowFast's table; MaskFeat, Table 10).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      GPUS=32 bash tools/slurm_train.sh PARTITION JOB_NAME \
#           configs/downstream/kinetics/mvit-large_maskfeat-k400-pre_32xb8-amp-16x4x1-75e_k400.py \
#           WORK_DIR --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Recipe:   PySlowFast's masked_ssl/k400_MVITv2_L_16x4_FT.
_base_ = './mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400.py'

pretrained = 'work_dirs/maskfeat_mvit-large_8xb32-amp-coslr-800e_k400/epoch_800.pth'

model = dict(
    backbone=dict(arch='large', drop_path_rate=0.2, init_cfg=dict(checkpoint=pretrained)),
    cls_head=dict(in_channels=1152),
    test_cfg=dict(max_testing_views=5),
)

# Unlike with the small model, each video is shown once an epoch.
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=[*_base_.decoding, *_base_.augment]))
# mmaction2 takes one video at a time where max_testing_views is set, in validation as well.
val_dataloader = dict(batch_size=1)

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.875))
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.1,
        start_ratio=1 / 60000,
        eta_min_ratio=1 / 60,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=75)
