# Video object segmentation on DAVIS-2017 (validation) by labels propagated with frozen features.
#
# Paper:    none: DoRA's code has "DAVIS: (todo)". The protocol is DINO's (Caron et al., ICCV 2021,
#           section 4.2.2).
# Cost:     docs/en/tutorials/evaluation.md has seconds a sequence on a CPU.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/davis/vos_vit-small-p16_dora-wt-pre_davis2017.py CHECKPOINT
#
# ViT-S/8: --cfg-options model.backbone.patch_size=8.
_base_ = ['../../_base_/models/frozen_vit-small-p16.py', '../../_base_/frozen_runtime.py']

# One frame at a time, and DINO's standard deviation of red for DAVIS (0.228, elsewhere 0.229).
model = dict(pool='none', max_pixels=480 * 832, std=[58.14, 57.12, 57.375])

pipeline = [
    dict(type='LoadFrames', short_side=480, divisor=64),
    dict(type='LoadObjectMasks'),
    dict(
        type='mmpretrain.PackInputs',
        input_key='frames',
        algorithm_keys=('masks',),
        meta_keys=('name', 'img_paths', 'img_shape', 'ori_shape'),
    ),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='DAVISDataset',
        data_root='data/DAVIS',
        ann_file='ImageSets/2017/val.txt',
        data_prefix=dict(img_path='JPEGImages/480p', seg_map_path='Annotations/480p'),
        pipeline=pipeline,
    ),
)
test_evaluator = [
    dict(
        type='DAVISMetric',
        num_context=7,
        radius=12,
        topk=5,
        temperature=0.1,
        out_dir='work_dirs/vos_vit-small-p16_dora-wt-pre_davis2017/masks',
    ),
]
