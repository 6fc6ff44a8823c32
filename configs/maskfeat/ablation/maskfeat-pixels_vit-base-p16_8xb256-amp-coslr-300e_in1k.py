# MaskFeat that predicts pixels, ViT-B/16, 300 epochs on ImageNet-1k.
#
# Paper:    number not found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-pixels_vit-base-p16_8xb256-amp-coslr-300e_in1k.py 8
_base_ = [
    '../maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py',
]

# 16 x 16 pixels x 3 colours. normalize='patch' is the released code's default.
model = dict(
    neck=dict(out_channels=768),
    target_generator=dict(
        _delete_=True,
        type='PixelGenerator',
        patch_size=16,
        normalize='dataset',
    ),
)
