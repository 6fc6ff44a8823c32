# Object discovery on COCO20k by a frozen ViT-S/16 of DoRA or DINO: LOST, TokenCut, its attention.
#
# Paper:    none: DoRA's number was not found. The protocol is that of LOST, which evaluated DINO.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/voc/discovery_vit-small-p16_dora-wt-pre_coco20k.py CHECKPOINT
_base_ = './discovery_vit-small-p16_dora-wt-pre_voc07.py'

test_dataloader = dict(
    dataset=dict(
        type='COCOBoxDataset',
        data_root='data/coco',
        ann_file='coco_20k_filenames.txt',  # LOST's list: train2014/COCO_train2014_X.jpg a line
    )
)
