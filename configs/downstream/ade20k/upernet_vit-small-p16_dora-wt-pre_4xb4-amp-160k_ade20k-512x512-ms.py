# The multi-scale test of UperNet on ADE20K: six sizes, each also mirrored.
#
# Paper:    none: no number of DoRA's was found. The protocol is iBOT's.
# Cost:     twelve times that of the test at one scale, or more.
# Measured: not measured by us.
# Run:      bash tools/dist_test.sh \
#           configs/downstream/ade20k/upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512-ms.py \
#           work_dirs/upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512/iter_160000.pth 4
#
# For testing only. The scales are 0.5, 0.75, 1, 1.25, 1.5 and 1.75 times 512, but never less than a
# crop, as with iBOT's resizing; mmseg's would go below a crop.
_base_ = './upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512.py'

model = dict(_delete_=True, type='SegTTAModel', module=_base_.model)

tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='ResizeShortestEdge', scale=scale, max_size=10000)
                for scale in (512, 512, 512, 640, 768, 896)
            ],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [dict(type='LoadAnnotations', reduce_zero_label=True)],
            [dict(type='PackSegInputs')],
        ],
    ),
]
test_dataloader = dict(dataset=dict(pipeline=tta_pipeline))
