# Kinetics-400 from an MViTv2-S that MaskFeat pretrained there, for as long as the paper says; 200
# epochs.
#
# Paper:    none that is surely of this recipe. Of the paper are 200 epochs and a warm-up of 5 (as
#           PySlowFast's issue 627 quotes it), all else is the released code's. How often the paper
#           shows a video in an epoch was not found: here once, so as often in all as there.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME \
#           configs/downstream/kinetics/mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-paper-200e_k400.py \
#           WORK_DIR --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = './mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400.py'

train_dataloader = dict(dataset=dict(pipeline=[*_base_.decoding, *_base_.augment]))

max_epochs, warmup_epochs = 200, 5
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1 / 600,
        by_epoch=True,
        begin=0,
        end=warmup_epochs,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=1 / 600,
        by_epoch=True,
        begin=warmup_epochs,
        end=max_epochs,
        T_max=max_epochs - warmup_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=max_epochs)
