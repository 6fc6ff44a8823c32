# DoRA with 16 objects and as many attention heads, of 24 channels each, ViT-S/16, 100 epochs on the
# Walking Tours video of Venice.
#
# Paper:    number not found; it calls 16 objects poor.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/dora/ablation/dora-k16_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py 8
_base_ = [
    '../dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py',
]

# ViT-S, but with 16 heads instead of 6: an object starts from the attention of a head of its own.
# The student sees 16 masked clips instead of three, hence activation checkpointing (with_cp).
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=384,
            num_layers=12,
            num_heads=16,
            feedforward_channels=1536,
        ),
        with_cp=True,
    ),
    tracker=dict(num_objects=16),
)
