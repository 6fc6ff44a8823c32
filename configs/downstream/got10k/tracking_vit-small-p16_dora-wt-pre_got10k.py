# Tracking of one object on GOT-10k (validation) by labels propagated with frozen features.
#
# Paper:    DoRA: no numbers, and no protocol ("GOT-10k: (todo)" in its code). This one is ours;
#           docs/en/evaluation.md says what it does.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/got10k/tracking_vit-small-p16_dora-wt-pre_got10k.py CHECKPOINT
#
# The test set: --cfg-options data_root=data/got10k/test. OTB, or folders of one's own: data_root=...
# and test_dataloader.dataset.ann_file="".
_base_ = ['../../_base_/models/frozen_vit-small-p16.py', '../../_base_/frozen_runtime.py']

data_root = 'data/got10k/val'
model = dict(pool='none', max_pixels=480 * 832)  # a frame at a time
pipeline = [
    dict(type='LoadFrames', short_side=320, divisor=32),
    dict(type='PackFrames'),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='TrackingDataset', data_root=data_root, ann_file='list.txt', pipeline=pipeline
    ),
)
test_evaluator = dict(
    type='TrackingMetric',
    num_context=7,
    radius=12,
    topk=5,
    temperature=0.1,
    out_dir='work_dirs/tracking_vit-small-p16_dora-wt-pre_got10k/boxes',
)
