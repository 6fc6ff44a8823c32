# DINO on frames, ViT-S/16, 100 epochs on the Walking Tours video of Venice: DoRA's baseline.
#
# Paper:    ADE20K UperNet 29.2 mIoU (as PooDLe's table quotes it).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dino/dino_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py 8
_base_ = [
    '../_base_/models/dino_vit-small-p16.py',
    '../_base_/datasets/walking_tours_dora.py',
    '../_base_/schedules/dino_adamw_coslr_100e.py',
    '../_base_/default_runtime.py',
]

# DoRA's presets set it, so the common base leaves it out.
model = dict(backbone=dict(interpolate_offset=0.0))
optim_wrapper = dict(type='PerParamClipAmpOptimWrapper', loss_scale='dynamic')
