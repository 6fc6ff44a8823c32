# DoRA, ViT-S/16, 100 epochs on all ten Walking Tours videos.
#
# Paper:    ADE20K UperNet 38.3 mIoU (PooDLe, ICLR 2025; the paper's own was not found).
# Cost:     not measured by us; about ten times that of one video.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-all.py 8
_base_ = [
    'dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py',
]

# Clips are shuffled over ten files, of which max_open=4 stay open: all would take 0.6 GB more in
# each worker, and reopening one takes only 0.1 s, beside some 5 s for a clip.
train_dataloader = dict(dataset=dict(cities='all'))
