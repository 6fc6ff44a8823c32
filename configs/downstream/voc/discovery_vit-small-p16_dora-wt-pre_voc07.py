# Object discovery on Pascal VOC 2007 by a frozen ViT-S/16 of DoRA or DINO: LOST, TokenCut, its attention.
#
# Paper:    none: DoRA's number was not found. The protocol is that of LOST, which evaluated DINO.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/test.py \
#           configs/downstream/voc/discovery_vit-small-p16_dora-wt-pre_voc07.py CHECKPOINT
_base_ = ['../../_base_/models/frozen_vit-small-p16.py', '../../_base_/frozen_runtime.py']

# Patches of 8: --cfg-options model.backbone.patch_size=8 test_evaluator.0.patch_size=8
model = dict(backbone=dict(pad_frames=True), keys=True, attention=True)

pipeline = [
    dict(type='LoadImageClip'),
    dict(type='PackClipInputs', meta_keys=('img_path', 'boxes'), as_frames=True),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    collate_fn=dict(type='pseudo_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VOCBoxDataset',
        data_root='data/VOCdevkit/VOC2007',
        ann_file='ImageSets/Main/trainval.txt',
        pipeline=pipeline,
    ),
)
test_evaluator = [
    dict(
        type='DiscoveryMetric',
        patch_size=16,
        k=100,
        tau=0.2,
        threshold=0.6,
        as_published=True,
        head=4,
    )
]
