# MaskFeat that predicts the codes of DALL-E's dVAE, ViT-B/16, 300 epochs on ImageNet-1k.
#
# Paper:    number not found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-codes_vit-base-p16_8xb256-amp-coslr-300e_in1k.py 8
_base_ = [
    '../maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py',
]

# The checkpoint is that of mmpretrain's BEiT configs, as it is: into checkpoints/ from
# https://download.openmmlab.com/mmselfsup/1.x/target_generator_ckpt/dalle_encoder.pth
model = dict(
    neck=dict(out_channels=8192),
    target_generator=dict(
        _delete_=True,
        type='DiscreteTokenGenerator',
        tokenizer=dict(
            type='mmpretrain.DALL-E',
            init_cfg=dict(type='Pretrained', checkpoint='checkpoints/dalle_encoder.pth'),
        ),
        code_stride=8,
        num_codes=8192,
        patch_size=16,
        input_norm=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        # DALL-E wants 0.1 to 0.9.
        teacher_norm=dict(mean=[-31.875, -31.875, -31.875], std=[318.75, 318.75, 318.75]),
    ),
    head=dict(loss=dict(type='CodeCrossEntropyLoss')),
)
