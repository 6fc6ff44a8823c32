# DINO on single frames, DoRA's baseline: the same backbone, projection, targets, crops, schedule.
#
# A step has as many frames as DoRA's. Of each, the teacher sees two global views and not one; the
# student sees these in place of DoRA's masked ones, and as many local views.
#
# Paper:    none; docs/en/reference/evidence.md.
# Measured: docs/en/reference/evidence.md
# Run:      python tools/benchmarks/evidence.py
_base_ = 'dora.py'

model = dict(
    _delete_=True,
    type='DINO',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(_base_.model.backbone, interpolate_offset=0.0),  # as DoRA's preset sets it
    neck=_base_.model.neck,
    target_generator=_base_.model.target_generator,
    head=dict(type='DINOHead', loss=_base_.model.head.loss),
)

train_pipeline = _base_.train_pipeline
train_pipeline[1].update(num_global_views=2)
train_dataloader = dict(
    batch_size=_base_.train_dataloader.batch_size * _base_.train_dataloader.dataset.clip_len,
    dataset=dict(clip_len=1, pipeline=train_pipeline),
)
