# MaskFeat (Wei et al., CVPR 2022) on MViTv2-L, clips of 16 frames of 224 px.
_base_ = 'maskfeat_mvit-small.py'

model = dict(backbone=dict(arch='large'), neck=dict(in_channels=1152))
