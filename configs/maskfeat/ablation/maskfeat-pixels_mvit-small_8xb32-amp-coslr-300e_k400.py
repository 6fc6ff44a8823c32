# MaskFeat that predicts pixels, MViTv2-S, 300 epochs on Kinetics-400.
#
# Paper:    number not found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-pixels_mvit-small_8xb32-amp-coslr-300e_k400.py 8
_base_ = [
    '../maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
]

# 16 x 16 pixels x 3 colours. normalize='patch' is the released code's default.
model = dict(
    neck=dict(out_channels=768),
    target_generator=dict(
        _delete_=True,
        type='PixelGenerator',
        patch_size=16,
        temporal_stride=2,
        normalize='dataset',
    ),
)
