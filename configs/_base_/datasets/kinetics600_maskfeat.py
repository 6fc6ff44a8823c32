# As kinetics400_maskfeat.py, on Kinetics-600. The authors released no recipe for it; this is that
# of Kinetics-400.
_base_ = ['./kinetics400_maskfeat.py']

data_root = 'data/kinetics600'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='kinetics600_train_list_videos.txt',
        data_prefix=dict(video='videos_train'),
    )
)
