# MaskFeat that learns on two CPU cores in minutes: a narrow MViT, clips of 8 frames of 32 px.
#
# Paper:    none; a demonstration.
# Cost, Measured: docs/en/reference/maskfeat_learns.md
# Run:      python tools/benchmarks/maskfeat_learns.py
_base_ = 'schedule.py'

# Clips of each kind, drawn afresh for each seed.
sizes = dict(unlabelled=6000, few=160, many=1600, val=480, test=1600)

model = dict(
    type='MaskFeat',
    # Powers of two, with which flat areas have no gradient: otherwise rounding errors in them are
    # normalised to histograms of length one, which nothing can predict.
    data_preprocessor=dict(type='ClipDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3),
    backbone=dict(
        type='MaskFeatMViT',
        arch=dict(
            embed_dims=32,
            num_layers=6,
            num_heads=1,
            downscale_indices=[1],
            dim_mul_indices=[1],
        ),
        spatial_size=32,
        temporal_size=8,
        drop_path_rate=0.0,
        # Matrices of 0.02, which suit 768 channels, would leave 32 with next to no signal.
        init_cfg=[
            dict(type='Xavier', layer='Linear', distribution='uniform'),
            dict(type='TruncNormal', layer='Conv3d', std=0.02),
            dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
        ],
    ),
    neck=dict(
        type='mmpretrain.LinearNeck',
        in_channels=64,
        out_channels=108,
        norm_cfg=None,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
    ),
    # A token covers 2 x 8 x 8 pixels; cells of 8 would blur what is in them.
    target_generator=dict(type='HOGGenerator', cell_size=4, patch_size=8, temporal_stride=2),
    head=dict(type='MaskFeatHead', loss=dict(type='RegressionLoss')),
)
train_pipeline = [
    dict(type='ClipRandomFlip', prob=0.5),
    dict(
        type='CubeMask',
        mask_window=(4, 4, 4),
        mask_ratio=0.4,
        min_num_patches=2,
        max_num_patches=16,
        exact=True,
    ),
    dict(type='PackClipInputs'),
]

# Both starts have the same grid, the same epochs and the same labels.
finetuning = dict(epochs=60, batch_size=32, label_smoothing=0.0)
finetuning_backbone = dict(drop_path_rate=0.1)
finetuning_pipeline = [dict(type='ClipRandomFlip', prob=0.5)]
grid = dict(lr=(1e-2, 3e-2, 1e-1))
