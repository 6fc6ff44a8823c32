# MaskFeat's schedule over 300 epochs of images, with the released code's numbers.
# The learning rate is for 2048 images a step and is scaled by the real number. It starts and ends
# at a 200th of its peak: the released 1e-6 and 2e-4, which are for 256 images and scaled together.
_base_ = 'maskfeat_adamw_coslr_300e.py'

auto_scale_lr = dict(base_batch_size=2048)

param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup=30, start_ratio=0.005, eta_min_ratio=0.005)

# Thirty epochs of warm-up on ImageNet-1k (626 steps of 2048 images each), and some more steps.
custom_hooks = _base_.custom_hooks
custom_hooks[1].update(grace=20000)
