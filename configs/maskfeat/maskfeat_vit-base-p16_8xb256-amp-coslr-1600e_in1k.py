# MaskFeat, ViT-B/16, 1600 epochs on ImageNet-1k.
#
# Paper:    ImageNet-1k 84.0 top-1 after fine-tuning (PySlowFast's table).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/maskfeat_vit-base-p16_8xb256-amp-coslr-1600e_in1k.py 8
_base_ = [
    'maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py',
]

train_cfg = dict(max_epochs=1600)
