# Video object segmentation on DAVIS-2016 (validation, one object) with frozen features.
#
# Paper:    none: the protocol is DINO's for DAVIS-2017.
# Cost:     docs/en/tutorials/evaluation.md has seconds a sequence on a CPU.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/davis/vos_vit-small-p16_dora-wt-pre_davis2016.py CHECKPOINT
#
# Inherited: all but the list of sequences and the output folder.
_base_ = 'vos_vit-small-p16_dora-wt-pre_davis2017.py'

test_dataloader = dict(dataset=dict(ann_file='ImageSets/480p/val.txt'))
test_evaluator = [
    dict(
        _base_.test_evaluator[0], out_dir='work_dirs/vos_vit-small-p16_dora-wt-pre_davis2016/masks'
    )
]
