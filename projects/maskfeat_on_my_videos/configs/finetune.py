# A classifier on the backbone that pretrain.py made: MViTv2-S, the recipe for videos of your own.
#
# Paper:    none.
# Measured: not measured by us.
# Run:      see README.md
_base_ = (
    'mmvidssl::downstream/kinetics/mvit-small_maskfeat-k400-pre_1xb8-amp-16x4x1-50e_own-data.py'
)

data_root = 'data/my_videos'
# One class a line, in the order of their numbers; tools/datasets/list_videos.py writes it.
try:
    with open(f'{data_root}/classes.txt', encoding='utf-8') as file:
        classes = file.read().splitlines()
except FileNotFoundError as error:
    raise FileNotFoundError(
        f'{error.filename} is missing: tools/datasets/list_videos.py writes it (README.md)'
    ) from None
del file
num_classes = len(classes)

model = dict(
    data_preprocessor=dict(
        blending=dict(
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1, num_classes=num_classes),
            ]
        )
    ),
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/pretrain/epoch_300.pth')),
    cls_head=dict(num_classes=num_classes, topk=(1, min(5, num_classes))),
)

train_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
val_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
test_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
