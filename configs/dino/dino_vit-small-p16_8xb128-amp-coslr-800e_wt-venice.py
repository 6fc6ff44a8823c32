# DINO on single frames, ViT-S/16, on the Walking Tours video of Venice: DoRA's baseline, for as
# many steps of as many frames as DoRA's 100 epochs.
#
# A DoRA step is 128 clips of 8 frames; here it is 1024 frames (the batch of DINO's paper), so that
# an epoch, which has each frame once, has an eighth of the steps: 800 epochs are as many steps and
# as many frames. Of each frame, DoRA's teacher sees one global view, and its student three masked
# ones and six local views of 112 px; here they see two, two, and eight of 96 px: 394 + 690 tokens
# instead of 197 + 891, somewhat less work. For 100 epochs, as in DINO's code:
# --cfg-options train_cfg.max_epochs=100.
#
# Paper:    number not found; the recipe of PooDLe's DINO on this video was not found either.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dino/dino_vit-small-p16_8xb128-amp-coslr-800e_wt-venice.py 8
_base_ = [
    '../_base_/models/dino_vit-small-p16.py',
    '../_base_/datasets/walking_tours_dino.py',
    '../_base_/schedules/dino_adamw_coslr_100e.py',
    '../_base_/default_runtime.py',
]

# The base leaves this option out, since DoRA's presets set it. The rest is the default of DINO's
# main_dino.py, but that the head's last layer has a learned norm, as recommended there for ViT-S.
model = dict(backbone=dict(interpolate_offset=0.0))
optim_wrapper = dict(type='PerParamClipAmpOptimWrapper', loss_scale='dynamic')
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=80, eta_min=1e-6)
train_cfg = dict(max_epochs=800)
custom_hooks = _base_.custom_hooks
custom_hooks[2].update(num_epochs=8)
default_hooks = dict(checkpoint=dict(interval=8))
