# DoRA on other videos, with cuts or without, ViT-S/16: those that data/videos/videos.txt lists, a
# path a line. docs/en/reference/ablations.md says how to match Venice's frames and steps.
#
# Paper:    number not found; it finds films, with their cuts, worse than Walking Tours.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dora/ablation/dora-videos_vit-small-p16_8xb16-amp-coslr-100e_listed.py 8 \
#           --cfg-options train_dataloader.dataset.data_root=data/videos
_base_ = [
    '../dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py',
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='LongVideoDataset',
        data_root='data/videos',
        ann_file='videos.txt',
        clip_len=8,
        frame_interval=1.0,
        interval_unit='seconds',
        start_stride=1,
        reader=dict(type='PyAVReader', num_threads=1),
        pipeline=_base_.train_pipeline,
    )
)
