# UperNet on ADE20K, from a ViT-S/16 of DoRA or DINO, all of it trained; 160000 iterations.
#
# Paper:    35.2 mIoU with DoRA's 100 epochs on Venice, 38.3 on all of Walking Tours (PooDLe, ICLR
#           2025; the paper's own were not found). The recipe is that of iBOT's scripts, which DoRA
#           used.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/ade20k/upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512.py 4 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: ADE20K, its augmentation (ratio 0.5 to 2, crops of 512, flips, colours) and mIoU.
_base_ = [
    'mmseg::_base_/models/upernet_mae.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_160k.py',
]
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# A training checkpoint; for a published file, set the prefix 'backbone.' below.
pretrained = 'work_dirs/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice/epoch_100.pth'

crop_size = (512, 512)
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        _delete_=True,
        type='mmvidssl.DINOViT',
        arch='deit-small',
        img_size=crop_size,  # positions are interpolated to it when they are loaded
        patch_size=16,
        drop_path_rate=0.1,
        out_indices=[3, 5, 7, 11],
        out_type='featmap',
        final_norm=True,
        norm_outputs=True,
        pad_frames=True,  # elongated images may be narrower than a crop
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='teacher.backbone.'),
    ),
    neck=dict(_delete_=True, type='mmvidssl.ViTFeature2Pyramid', embed_dim=384, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=[384] * 4, channels=384, num_classes=150),
    auxiliary_head=dict(in_channels=384, in_index=2, channels=256, num_classes=150),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 341)),
)

train_dataloader = dict(batch_size=4)
val_dataloader = dict(batch_size=1)
test_dataloader = dict(batch_size=1)

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.9),
    optimizer=dict(type='AdamW', lr=3e-5, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=None,
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160000),
]

default_hooks = dict(
    checkpoint=dict(
        _delete_=True,
        type='mmvidssl.PlainCheckpointHook',
        by_epoch=False,
        interval=16000,
        max_keep_ckpts=2,
    ),
    schedule=dict(type='mmvidssl.ScheduleHook'),
)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
