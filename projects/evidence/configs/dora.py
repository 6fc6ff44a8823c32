# DoRA small enough for a core of a CPU, on a list of videos: the evidence's own method.
#
# Paper:    none; docs/en/reference/evidence.md.
# Measured: docs/en/reference/evidence.md
# Run:      python tools/benchmarks/evidence.py
_base_ = '../../../configs/dora/dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py'

model = dict(backbone=dict(arch=dict(num_layers=4)), tracker=dict(num_objects=2, epsilon=0.005))

# Views of whole frames, not of pieces, as what docs/en/reference/evidence.md reports was trained.
train_pipeline = _base_.train_pipeline
train_pipeline.pop(1)
train_pipeline[1]['local_transforms'][0].update(scale=(0.05, 0.4))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=90)

# All in one process, whose processor time is the budget.
train_pipeline[0].update(timeout=None)
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(ann_file='', data_root='', timeout=None, pipeline=train_pipeline),
)

# What a killed run has done since then is lost.
default_hooks = dict(checkpoint=dict(minutes=2, max_keep_ckpts=1))
