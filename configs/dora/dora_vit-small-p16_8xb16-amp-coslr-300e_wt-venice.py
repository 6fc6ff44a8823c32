# DoRA, ViT-S/16, 300 epochs on the Walking Tours video of Venice.
#
# Paper:    number not found; the authors released weights of this length.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dora/dora_vit-small-p16_8xb16-amp-coslr-300e_wt-venice.py 8
_base_ = [
    'dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py',
]

max_epochs = 300

param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs, T_max=max_epochs - param_scheduler[1]['begin'])
param_scheduler[2].update(end=max_epochs, T_max=max_epochs)
train_cfg = dict(max_epochs=max_epochs)
