# MaskFeat that predicts what a classifier says of each patch, MViTv2-S, 300 epochs on Kinetics-400.
#
# Paper:    number not found. The paper takes token labels of an NF-Net.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-labels_mvit-small_8xb32-amp-coslr-300e_k400.py 8
_base_ = [
    '../maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
]

# A ResNet-50 stands in for the paper's NF-Net, which mmpretrain has not. The checkpoint is any of
# mmpretrain's for this model, under the name below, such as
# https://download.openmmlab.com/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth
model = dict(
    neck=dict(out_channels=1000),
    target_generator=dict(
        _delete_=True,
        type='PseudoLabelGenerator',
        classifier=dict(
            type='ImageClassifier',
            _scope_='mmpretrain',
            backbone=dict(type='ResNet', depth=50),
            head=dict(type='LinearClsHead', num_classes=1000, in_channels=2048),
            init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet50_in1k.pth'),
        ),
        patch_size=16,
        temporal_stride=2,
        input_norm=dict(mean=[114.75, 114.75, 114.75], std=[57.375, 57.375, 57.375]),
        teacher_norm=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    ),
    head=dict(loss=dict(type='SoftCrossEntropyLoss')),
)
