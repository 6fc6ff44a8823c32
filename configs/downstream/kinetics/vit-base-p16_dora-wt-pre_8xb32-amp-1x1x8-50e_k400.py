# Kinetics-400 from a ViT-B/16 of DoRA or DINO: the mean class token of 8 frames; 50 epochs.
#
# Paper:    none: DoRA was not evaluated there, and its ViT-B was not released. The weights may be
#           your own, or another's of DINO that tools/model_converters/dora_to_mmvidssl.py converts.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/kinetics/vit-base-p16_dora-wt-pre_8xb32-amp-1x1x8-50e_k400.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
_base_ = './vit-small-p16_dora-wt-pre_8xb32-amp-1x1x8-50e_k400.py'

pretrained = 'work_dirs/dora_vit-base-p16/epoch_100.pth'

model = dict(
    backbone=dict(arch='deit-base', init_cfg=dict(checkpoint=pretrained)),
    cls_head=dict(in_channels=768),
)
