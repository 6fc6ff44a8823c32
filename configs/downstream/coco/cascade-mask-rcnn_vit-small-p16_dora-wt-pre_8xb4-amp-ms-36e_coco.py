# Cascade Mask R-CNN on COCO, from a ViT-S/16 of DoRA or DINO; 36 epochs (3x).
#
# Paper:    none; iBOT's recipe for 3x, whose earlier layers learn slower (0.75) than in 1x.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/coco/cascade-mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-36e_coco.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = './cascade-mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco.py'

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]
