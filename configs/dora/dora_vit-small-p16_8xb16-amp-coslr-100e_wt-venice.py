# DoRA, ViT-S/16, 100 epochs on the Walking Tours video of Venice.
#
# Paper:    ADE20K UperNet 35.2 mIoU (PooDLe, ICLR 2025; the paper's own was not found).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py 8
_base_ = [
    '../_base_/models/dora_vit-small-p16.py',
    '../_base_/datasets/walking_tours_dora.py',
    '../_base_/schedules/dino_adamw_coslr_100e.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='PerParamClipAmpOptimWrapper', loss_scale='dynamic')
