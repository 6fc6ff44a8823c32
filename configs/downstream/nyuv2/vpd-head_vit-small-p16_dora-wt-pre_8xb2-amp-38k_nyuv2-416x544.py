# Depth on NYUv2 by a convolutional decoder on a pyramid of a frozen ViT-S/16 of DoRA or DINO.
#
# Paper:    none. mmseg's decoder for depth (that of VPD) stands in for DPT's, which mmseg has for
#           segmentation alone.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/nyuv2/vpd-head_vit-small-p16_dora-wt-pre_8xb2-amp-38k_nyuv2-416x544.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: all but the head and the learning rate, which is ours.
_base_ = './linear_vit-small-p16_dora-wt-pre_8xb2-amp-38k_nyuv2-416x544.py'

model = dict(
    backbone=dict(out_type='featmap', concat_outputs=False),
    neck=dict(type='mmvidssl.ViTFeature2Pyramid', embed_dim=384, norm_cfg=dict(type='SyncBN')),
    decode_head=dict(
        _delete_=True,
        type='VPDDepthHead',
        in_channels=[384] * 4,
        embed_dim=96,
        feature_dim=768,  # 8 * embed_dim
        num_deconv_layers=2,  # with two more steps, from a stride of 16 to 1
        num_deconv_filters=(96, 96),
        fmap_border=0,
        max_depth=10.0,
        align_corners=False,
        loss_decode=dict(type='SiLogLoss', loss_weight=1.0),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
