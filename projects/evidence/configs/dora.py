# DoRA small enough for a core of a CPU, on a list of videos: the evidence's own method.
#
# Paper:    none; docs/en/evidence.md.
# Measured: docs/en/evidence.md
# Run:      python tools/benchmarks/evidence.py
_base_ = '../../../configs/dora/dora_vit-nano-p8_1xb8-coslr-900i_quickstart.py'

model = dict(backbone=dict(arch=dict(num_layers=4)), tracker=dict(num_objects=2, epsilon=0.005))

# All in one process, whose processor time is the budget.
train_pipeline = _base_.train_dataloader.dataset.pipeline
train_pipeline[0].update(timeout=None)
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(ann_file='', data_root='', timeout=None, pipeline=train_pipeline),
)

default_hooks = dict(checkpoint=dict(minutes=2))  # what a killed run has done since then is lost
