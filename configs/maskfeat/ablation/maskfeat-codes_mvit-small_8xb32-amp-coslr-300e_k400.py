# MaskFeat that predicts the codes of DALL-E's dVAE, MViTv2-S, 300 epochs on Kinetics-400.
#
# Paper:    number not found.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-codes_mvit-small_8xb32-amp-coslr-300e_k400.py 8
_base_ = [
    '../maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
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
        temporal_stride=2,
        input_norm=dict(mean=[114.75, 114.75, 114.75], std=[57.375, 57.375, 57.375]),
        # DALL-E wants 0.1 to 0.9.
        teacher_norm=dict(mean=[-31.875, -31.875, -31.875], std=[318.75, 318.75, 318.75]),
    ),
    head=dict(loss=dict(type='CodeCrossEntropyLoss')),
)
