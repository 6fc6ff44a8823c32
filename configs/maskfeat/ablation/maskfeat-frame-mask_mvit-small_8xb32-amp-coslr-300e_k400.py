# MaskFeat with each time step masked by itself, MViTv2-S, 300 epochs on Kinetics-400.
#
# Paper:    K400 81.0 top-1 after fine-tuning (MaskFeat, Sec. 4.3.1).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-frame-mask_mvit-small_8xb32-amp-coslr-300e_k400.py 8
_base_ = [
    '../maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
]

train_pipeline = _base_.train_pipeline
train_pipeline[-2] = dict(type='FrameMask', mask_window=(8, 7, 7), mask_ratio=0.4)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
