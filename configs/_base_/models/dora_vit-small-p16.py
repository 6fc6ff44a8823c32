# DoRA (Venkataramanan et al., ICLR 2024), ViT-S/16. The preset chooses between the paper and its
# released code; mmvidssl.models.DoRA lists the differences. Epsilon and the number of Sinkhorn
# iterations are the released code's (the paper's were not found).
_base_ = 'dino_vit-small-p16.py'

model = dict(
    type='DoRA',
    preset='paper',
    # Norms, activations and sums are computed again in the backward pass, with the same numbers:
    # less memory for, on a CPU, a little more time (docs/en/reference/performance.md). False keeps
    # them.
    backbone=dict(with_cp='cheap'),
    tracker=dict(
        type='MultiObjectTracker',
        num_objects=3,
        heads=None,
        seed=0,
        use_sinkhorn=True,
        epsilon=0.05,
        num_iters=30,
        mask_type='hard',
    ),
    head=dict(
        _delete_=True,
        type='DoRAHead',
        loss=dict(type='DINOLoss', student_temp=0.1),
        object_weight=0.5,
        local_weight=0.5,
    ),
)
