# A classifier on the backbone that pretrain.py made: MViTv2-S, the recipe for videos of your own.
#
# Paper:    none.
# Measured: not measured by us.
# Run:      see README.md
_base_ = (
    'mmvidssl::downstream/kinetics/mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-50e_own-data.py'
)

model = dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/pretrain/epoch_300.pth')))
