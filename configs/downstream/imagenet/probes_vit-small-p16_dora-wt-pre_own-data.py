# k-NN and a linear probe on your own images, by a frozen ViT-S/16 of DoRA or DINO.
#
# Paper:    none.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      DATA_ROOT=data/my_images python tools/test.py \
#           configs/downstream/imagenet/probes_vit-small-p16_dora-wt-pre_own-data.py CHECKPOINT
_base_ = './knn_vit-small-p16_dora-wt-pre_in1k.py'

import os

from mmvidssl.data_checks import find_class_folders

# The folder holds train/ and val/, each with a folder of images for each class.
data_root = os.environ.get('DATA_ROOT', 'data/my_images')
classes = find_class_folders(f'{data_root}/train')

dataset = dict(type='mmpretrain.CustomDataset', data_root=data_root, metainfo=dict(classes=classes))
test_dataloader = dict(
    num_workers=4,
    dataset=dict(
        datasets=[
            dict(**dataset, data_prefix='train', pipeline=_base_.train_pipeline),
            dict(**dataset, data_prefix='val', pipeline=_base_.test_pipeline),
        ]
    ),
)
# With fewer training images than that, use fewer neighbours.
test_evaluator = [
    dict(type='KNNMetric', k=[10, 20], temperature=0.07),
    dict(type='LinearProbeMetric'),
]
