# The same on labelled pictures of 32 px, clips of one frame: a narrow MViT without downscaling.
#
# Paper:    none; a demonstration.
# Cost, Measured: docs/en/reference/maskfeat_learns.md
# Run:      python tools/benchmarks/maskfeat_learns.py --images FILE.npz
_base_ = 'schedule.py'

max_iters = 1500
warmup_iters = 75
batch_size = 32
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters, T_max=max_iters - warmup_iters)

# All that is neither for validation nor for testing is pretrained on.
sizes = dict(few=200, val=400, test=500)

model = dict(
    type='MaskFeat',
    data_preprocessor=dict(type='ClipDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3),
    backbone=dict(
        type='MaskFeatMViT',
        arch=dict(
            embed_dims=64,
            num_layers=6,
            num_heads=2,
            downscale_indices=[],
            dim_mul_indices=[],
        ),
        spatial_size=32,
        temporal_size=1,
        adaptive_kv_stride=(1, 1, 1),
        drop_path_rate=0.0,
        # Matrices of 0.02, which suit 768 channels, would leave 64 with next to no signal.
        init_cfg=[
            dict(type='Xavier', layer='Linear', distribution='uniform'),
            dict(type='TruncNormal', layer='Conv3d', std=0.02),
            dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
        ],
    ),
    neck=dict(
        type='mmpretrain.LinearNeck',
        in_channels=64,
        out_channels=27,
        norm_cfg=None,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
    ),
    target_generator=dict(type='HOGGenerator', cell_size=4, patch_size=4),
    head=dict(type='MaskFeatHead', loss=dict(type='RegressionLoss')),
)
train_pipeline = [
    dict(type='ClipRandomResizedCrop', size=32, scale=(0.5, 1.0)),
    dict(type='ClipRandomFlip', prob=0.5),
    dict(type='BlockMask', mask_window=(8, 8), mask_ratio=0.4, exact=True),
    dict(type='PackClipInputs'),
]

finetuning = dict(epochs=40, batch_size=32, label_smoothing=0.0)
finetuning_backbone = dict(drop_path_rate=0.1)
finetuning_pipeline = [
    dict(type='ClipRandomResizedCrop', size=32, scale=(0.4, 1.0)),
    dict(type='ClipRandomFlip', prob=0.5),
]
grid = dict(lr=(3e-3, 1e-2))
