# MaskFeat (Wei et al., CVPR 2022) on MViTv2-S: clips of 16 frames of 224 px, HOG of masked cubes.
# The last pooling of queries is left out, so that each output token covers 2 x 16 x 16 pixels.
model = dict(
    type='MaskFeat',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
    ),
    backbone=dict(
        type='MaskFeatMViT',
        arch='small',
        spatial_size=224,
        temporal_size=16,
        drop_path_rate=0.0,
        dim_mul_in_attention=False,
        with_cp=False,  # 'cheap', True: less memory, the same numbers
    ),
    # LinearNeck's default adds a batch norm.
    neck=dict(
        type='mmpretrain.LinearNeck',
        in_channels=768,
        out_channels=108,
        norm_cfg=None,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
    ),
    # 9 bins x 2 x 2 cells x 3 colours = 108 numbers a token. As in the released code, histograms
    # are not weighted by a Gaussian window; mmpretrain's are, by one of 16 px.
    target_generator=dict(
        type='HOGGenerator',
        nbins=9,
        cell_size=8,
        patch_size=16,
        temporal_stride=2,
        frames='center',
        gaussian_window=0,
        signed=False,
        channels='rgb',
        norm='l2',
    ),
    head=dict(type='MaskFeatHead', loss=dict(type='RegressionLoss')),
)
