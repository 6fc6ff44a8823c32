# Clips of one video, the proxy that tools/quickstart.sh leaves behind. The configs of
# the methods set clip length and pipeline.
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ClipSampler', shuffle=True),
    collate_fn=dict(type='mmvidssl.flat_collate'),
    dataset=dict(
        type='LongVideoDataset',
        data_root='work_dirs/quickstart/video',
        ann_file='videos.txt',
        interval_unit='seconds',
    ),
)
