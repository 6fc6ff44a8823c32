# ImageNet-1k from a ViT-L/16 that MaskFeat pretrained there; 50 epochs.
#
# Paper:    85.7 top-1 after 1600 epochs of pretraining (PySlowFast's table).
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/imagenet/vit-large-p16_maskfeat-in1k-pre_8xb128-amp-coslr-50e_in1k.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Recipe:   PySlowFast's masked_ssl/in1k_VIT_L_MaskFeat_FT.
_base_ = './vit-base-p16_maskfeat-in1k-pre_8xb256-amp-coslr-100e_in1k.py'

pretrained = 'work_dirs/maskfeat_vit-large-p16_8xb256-amp-coslr-1600e_in1k/epoch_1600.pth'

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint=pretrained)),
    head=dict(in_channels=1024),
)
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)

# 1e-3 for each 256 images; here for 1024.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75), optimizer=dict(lr=4e-3))
auto_scale_lr = dict(enable=False, base_batch_size=1024)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.1,
        start_ratio=1e-5,
        eta_min_ratio=1e-3,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=50)
