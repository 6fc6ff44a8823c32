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

train_cfg = dict(max_epochs=300)
