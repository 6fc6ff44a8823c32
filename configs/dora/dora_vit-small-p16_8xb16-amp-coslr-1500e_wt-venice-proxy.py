# DoRA, ViT-S/16, on a proxy of the Walking Tours video of Venice (docs/en/howto/proxies.md). Its
# epochs are a fifteenth of the video's, which has 60 frames a second and not 4: 1500 of them are
# as many iterations as the 100 of dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py.
#
# Paper:    none: the paper trains on the video itself.
# Cost:     not measured by us; decoding a clip takes 0.04 s of a core instead of 4.7 s or more.
# Measured: not measured by us.
# Run:      python tools/datasets/walking_tours.py prepare data/walking_tours --cities venice \
#           --out data/walking_tours_proxy
#           bash tools/dist_train.sh \
#           configs/dora/dora_vit-small-p16_8xb16-amp-coslr-1500e_wt-venice-proxy.py 8
_base_ = [
    '../_base_/models/dora_vit-small-p16.py',
    '../_base_/datasets/walking_tours_proxy.py',
    '../_base_/schedules/dino_adamw_coslr_100e.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='PerParamClipAmpOptimWrapper', loss_scale='dynamic')
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=150)
train_cfg = dict(max_epochs=1500)
custom_hooks = _base_.custom_hooks
custom_hooks[2].update(num_epochs=15)
default_hooks = dict(checkpoint=dict(interval=15))
