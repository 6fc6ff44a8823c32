# As kinetics400_maskfeat.py, on all videos in a folder and below it; no list is needed.
# Another folder: --cfg-options train_dataloader.dataset.data_root=...
_base_ = ['./kinetics400_maskfeat.py']

data_root = 'data/videos'
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='', data_prefix=dict(video='')),
)
