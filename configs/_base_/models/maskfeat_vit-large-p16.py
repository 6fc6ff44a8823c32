# MaskFeat (Wei et al., CVPR 2022) on ViT-L/16, images of 224 px.
_base_ = 'maskfeat_vit-base-p16.py'

model = dict(backbone=dict(arch='large'), neck=dict(in_channels=1024))
