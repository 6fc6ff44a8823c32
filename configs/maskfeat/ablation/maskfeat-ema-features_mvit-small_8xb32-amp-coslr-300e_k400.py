# MaskFeat that predicts features of its own moving average, MViTv2-S, 300 epochs on Kinetics-400.
#
# Paper:    no such row.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#         configs/maskfeat/ablation/maskfeat-ema-features_mvit-small_8xb32-amp-coslr-300e_k400.py 8
_base_ = [
    '../maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py',
]

# The teacher sees the whole clip, unmasked and normalised as the student sees it; it starts as a
# copy of the student, whose config it must have.
model = dict(
    neck=dict(out_channels=768),
    target_generator=dict(
        _delete_=True,
        type='DeepFeatureGenerator',
        teacher=_base_.model.backbone,
        ema=True,
        takes_clips=True,
        patch_size=16,
        temporal_stride=2,
    ),
    head=dict(loss=dict(type='NormalizedRegressionLoss')),
)

# Without this hook the teacher never moves. DINO's schedule: 0.996 of the teacher is kept at first.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='TeacherMomentumHook', momentum=0.004, end_momentum=0.0),
]
