# The recipe of pretrain.py with a model small enough for one CPU core: do my videos teach it?
#
# Paper:    none.
# Cost:     900 iterations in 15 to 19 minutes on one core of two that were busy.
# Measured: see README.md
# Run:      python tools/train.py projects/maskfeat_on_my_videos/configs/pretrain_nano.py
_base_ = './pretrain.py'

# Clips of 8 frames of 64 pixels, tokens of 4 x 4 x 4 where it predicts.
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=32,
            num_layers=6,
            num_heads=1,
            downscale_indices=[1, 3],
            dim_mul_indices=[1, 3],
        ),
        spatial_size=64,
        temporal_size=8,
        adaptive_kv_stride=(1, 4, 4),
        drop_path_rate=0.0,
    ),
    neck=dict(in_channels=128),
)

train_pipeline = _base_.train_pipeline
train_pipeline[0].update(clip_len=8)
train_pipeline[1].update(size=64)
train_pipeline[3].update(mask_window=(4, 4, 4), min_num_patches=3, max_num_patches=16)
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',  # float32
    optimizer=_base_.optim_wrapper.optimizer,
    clip_grad=_base_.optim_wrapper.clip_grad,
    constructor=_base_.optim_wrapper.constructor,
)
