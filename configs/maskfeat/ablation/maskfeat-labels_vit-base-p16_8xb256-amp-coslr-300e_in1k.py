# MaskFeat that predicts what a classifier says of each patch, ViT-B/16, 300 epochs on ImageNet-1k.
#
# Paper:    number not found. The paper takes token labels of an NF-Net.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/maskfeat/ablation/maskfeat-labels_vit-base-p16_8xb256-amp-coslr-300e_in1k.py 8
_base_ = [
    '../maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py',
]

# A ResNet-50 stands in for the paper's NF-Net, which mmpretrain has not. The checkpoint is any of
# mmpretrain's for this model, under the name below, such as
# https://download.openmmlab.com/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth
# The classifier takes pixels as the student does.
norm = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
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
        input_norm=norm,
        teacher_norm=norm,
    ),
    head=dict(loss=dict(type='SoftCrossEntropyLoss')),
)
