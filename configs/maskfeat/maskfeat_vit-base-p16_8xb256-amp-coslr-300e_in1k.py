# MaskFeat, ViT-B/16, 300 epochs on ImageNet-1k.
#
# Paper:    ImageNet-1k 83.6 top-1 after fine-tuning (as a user quotes the paper in an issue:
#           mx-mark/VideoTransformer-pytorch#21).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py 8
_base_ = [
    '../_base_/models/maskfeat_vit-base-p16.py',
    '../_base_/datasets/imagenet_maskfeat.py',
    '../_base_/schedules/maskfeat_image_adamw_coslr_300e.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
