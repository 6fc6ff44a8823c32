# Object discovery on the first frames of DAVIS-2016 by a frozen ViT-S/16 of DoRA or DINO: LOST, TokenCut, its attention.
#
# Paper:    none: the protocol is that of LOST, on other pictures.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/voc/discovery_vit-small-p16_dora-wt-pre_davis16.py CHECKPOINT
_base_ = './discovery_vit-small-p16_dora-wt-pre_voc07.py'

# Of DAVIS-2017: test_dataloader.dataset.ann_file=ImageSets/2017/val.txt
test_dataloader = dict(
    dataset=dict(
        type='DAVISBoxDataset',
        data_root='data/DAVIS',
        ann_file='ImageSets/480p/val.txt',
    )
)
