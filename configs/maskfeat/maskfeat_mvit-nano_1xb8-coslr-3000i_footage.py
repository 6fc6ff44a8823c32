# The small MaskFeat that comes with the repository: four narrow blocks, eight short videos, one CPU
# core.
#
# Paper:    none; ours.
# Data:     that of configs/dora/dora_vit-nano-p8_1xb8-coslr-5000i_footage.py
# Measured: projects/small_models/README.md
# Run:      python tools/train.py configs/maskfeat/maskfeat_mvit-nano_1xb8-coslr-3000i_footage.py
_base_ = [
    'maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py',
]

train_dataloader = dict(dataset=dict(data_root='data/footage'))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=200)
train_cfg = dict(max_iters=3000)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=500))
