# DINO with one global view, which the student never sees: DoRA's clips, views and schedule without
# its objects (the released DoRA code without its masks), ViT-S/16, 100 epochs on the Walking Tours
# video of Venice. The loss compares local views alone; DINO proper is the config one folder up.
#
# Paper:    no such row was found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dino/ablation/dino-one-view_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py 8
_base_ = [
    '../../_base_/models/dino_vit-small-p16.py',
    '../../_base_/datasets/walking_tours_dora.py',
    '../../_base_/schedules/dino_adamw_coslr_100e.py',
    '../../_base_/default_runtime.py',
]

# The base leaves this option out, since DoRA's presets set it.
model = dict(backbone=dict(interpolate_offset=0.0))
optim_wrapper = dict(type='PerParamClipAmpOptimWrapper', loss_scale='dynamic')
