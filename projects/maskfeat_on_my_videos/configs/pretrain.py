# MaskFeat on a folder of videos of your own: MViTv2-S, the recipe of Kinetics-400.
#
# Paper:    none for your videos; see configs/maskfeat.
# Measured: see README.md (of a narrow model, and of few steps)
# Run:      see README.md
_base_ = 'mmvidssl::maskfeat/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py'

# All videos in it, whatever their folders are called; no labels are read.
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(data_root='data/my_videos', ann_file='', data_prefix=dict(video='')),
)

# Scaled to 8 clips, the rate of 512 would be 2.5e-5, and 20 videos give 600 steps: too few to learn
# at that rate. From 160 clips a step on, the scaled rate is larger than this.
default_hooks = dict(schedule=dict(min_lr=5e-4))
