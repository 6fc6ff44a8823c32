# The small DoRA of the repository: four narrow blocks, eight short videos, one CPU core.
#
# Paper:    none; ours.
# Data:     01_dog, 02_cups, 03_blocks, 04_coffee, 05_default_juggle and bedroom.mp4 of
#           facebookresearch/sam2 (Apache-2.0), car-detection and one-by-one-person-detection.mp4 of
#           intel-iot-devkit/sample-videos (CC BY 4.0), as proxies with a short side of 160 pixels
#           (tools/datasets/make_proxy.py), listed in data/footage/videos.txt.
# Measured: projects/small_models/README.md
# Run:      python tools/train.py configs/dora/dora_vit-nano-p8_1xb8-coslr-5000i_footage.py
_base_ = [
    'dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py',
]

model = dict(backbone=dict(arch=dict(num_layers=4)), tracker=dict(num_objects=2, epsilon=0.005))
train_pipeline = _base_.train_pipeline  # as it was trained: views of whole frames, not of parts
train_pipeline.pop(1)
train_pipeline[1]['local_transforms'][0].update(scale=(0.05, 0.4))
train_dataloader = dict(dataset=dict(data_root='data/footage', pipeline=train_pipeline))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=200)
custom_hooks = _base_.custom_hooks
custom_hooks[0].update(end_momentum=0.0)  # in the end, it averages many steps
train_cfg = dict(max_iters=5000)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=500))
