# DoRA, ViT-S/16, 100 epochs on the Walking Tours video of Venice, with one GPU: gradients of eight
# batches are accumulated, so that a step has 128 clips as with eight GPUs.
#
# Paper:    number not found: the paper trains on several GPUs.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      python tools/train.py \
#           configs/dora/dora_vit-small-p16_1xb16-accum8-amp-coslr-100e_wt-venice.py
_base_ = [
    'dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py',
]

# Activation checkpointing: blocks are computed again in the backward pass, to save memory.
model = dict(backbone=dict(with_cp=True))
optim_wrapper = dict(accumulative_counts=8)
