# MaskFeat that predicts the features of DINO, ViT-B/16, 300 epochs on ImageNet-1k.
#
# Paper:    number not found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-features_vit-base-p16_8xb256-amp-coslr-300e_in1k.py 8
_base_ = [
    '../maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py',
]

# Another teacher is another config: of any model in the registries, supervised or not, a ViT with
# out_type='featmap' or a CNN. The checkpoint is DINO's ViT-B/16, from
# https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth, and then
# python tools/model_converters/dora_to_mmvidssl.py dino_vitbase16_pretrain.pth \
#     checkpoints/dino_vit-base-p16.pth
# The teacher takes pixels as the student does.
norm = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
model = dict(
    neck=dict(out_channels=768),
    target_generator=dict(
        _delete_=True,
        type='DeepFeatureGenerator',
        teacher=dict(
            type='DINOViT',
            arch='deit-base',
            img_size=224,
            patch_size=16,
            out_type='featmap',
            init_cfg=dict(
                type='Pretrained',
                checkpoint='checkpoints/dino_vit-base-p16.pth',
                prefix='backbone.',
            ),
        ),
        patch_size=16,
        input_norm=norm,
        teacher_norm=norm,
    ),
    head=dict(loss=dict(type='NormalizedRegressionLoss')),
)
