# MaskFeat's pre-training data on videos (Wei et al., CVPR 2022, Sec. 4 and Appendix B.1):
# Kinetics-400, one clip of 16 x 4 frames a video and epoch; a crop of 224 px and a flip, no colour
# changes; cubes of an 8 x 7 x 7 window masked, 157 of 392 cells. No label is used.
#
# As in the official code: frames at 30 a second, whatever the video's rate; shorter side of 256 px
# before the crop, bilinear resizing, the mask's block sizes (a fifth of 7 x 7 to all of it). Not as
# there: resizing is antialiased.
#
# Folders and lists are those of mmaction2; PySlowFast's train.csv works too, as ann_file.
dataset_type = 'VideoListDataset'
data_root = 'data/kinetics400'

train_pipeline = [
    dict(
        type='SampleClip',
        clip_len=16,
        frame_interval=4,
        interval_unit='frames',
        target_fps=30,  # PySlowFast's DATA.TARGET_FPS; None counts the video's own frames
        position='random',
        short_side=256,
    ),
    dict(
        type='ClipRandomResizedCrop',
        size=224,
        scale=(0.5, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
    dict(type='ClipRandomFlip', prob=0.5),
    dict(
        type='CubeMask',
        mask_window=(8, 7, 7),
        mask_ratio=0.4,
        min_num_patches=9,
        max_num_patches=49,
        aspect_ratio=(0.3, 1 / 0.3),
        exact=False,
    ),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='ClipSampler', shuffle=True),
    # as pseudo_collate, but also takes RepeatAugment's lists of samples
    collate_fn=dict(type='mmvidssl.flat_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='kinetics400_train_list_videos.txt',
        data_prefix=dict(video='videos_train'),
        reader=dict(type='PyAVReader', num_threads=1),
        pipeline=train_pipeline,
    ),
)
