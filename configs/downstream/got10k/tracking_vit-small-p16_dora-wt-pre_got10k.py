# Tracking of one object on GOT-10k (validation) by labels propagated with frozen features.
#
# Paper:    none: DoRA's code has "GOT-10k: (todo)". The protocol is ours; docs/en/tutorials/evaluation.md has it.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/got10k/tracking_vit-small-p16_dora-wt-pre_got10k.py CHECKPOINT
#
# Another set: --cfg-options test_dataloader.dataset.data_root=data/got10k/test; for OTB, or your
# own folders, which need no list, add test_dataloader.dataset.ann_file=.
_base_ = ['../../_base_/models/frozen_vit-small-p16.py', '../../_base_/frozen_runtime.py']

model = dict(pool='none', max_pixels=480 * 832)  # one frame at a time
pipeline = [
    dict(type='LoadFrames', short_side=320, divisor=32),
    dict(
        type='mmpretrain.PackInputs',
        input_key='frames',
        meta_keys=('name', 'img_paths', 'img_shape', 'ori_shape', 'boxes', 'visible'),
    ),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='TrackingDataset', data_root='data/got10k/val', ann_file='list.txt', pipeline=pipeline
    ),
)
test_evaluator = [
    dict(
        type='TrackingMetric',
        num_context=7,
        radius=12,
        topk=5,
        temperature=0.1,
        out_dir='work_dirs/tracking_vit-small-p16_dora-wt-pre_got10k/boxes',
    ),
]
