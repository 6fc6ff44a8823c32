# AVA 2.2, actions of people in boxes, from an MViTv2-S that MaskFeat pretrained; 20 epochs.
#
# Paper:    none for this model; its recipe for this data set was not found. Boxes, schedule and
#           optimizer are mmaction2's for VideoMAE's ViT-B on AVA-Kinetics. Nothing was tuned.
# Cost:     not measured by us.
# Measured: not measured by us.
# Run:      bash tools/dist_train.sh \
#           configs/downstream/ava/mvit-small_maskfeat-k400-pre_8xb8-amp-16x4x1-20e_ava22.py 8 \
#           --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
#
# Inherited: FastRCNN with mmaction2's head for AVA, mean average precision at IoU 0.5.
_base_ = (
    'mmaction::detection/videomae/'
    'vit-base-p16_videomae-k400-pre_8xb8-16x4x1-20e-adamw_ava-kinetics-rgb.py'
)
custom_imports = dict(imports=['mmvidssl'], allow_failed_imports=False)

# MaskFeat's checkpoint, or one fine-tuned on Kinetics after it; which of them the paper used was
# not found.
pretrained = 'work_dirs/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400/epoch_300.pth'

model = dict(
    init_cfg=None,
    data_preprocessor=dict(mean=[114.75] * 3, std=[57.375] * 3),
    backbone=dict(
        _delete_=True,
        type='mmvidssl.MViT',
        arch='small',
        spatial_size=256,
        temporal_size=16,
        drop_path_rate=0.2,
        dim_mul_in_attention=False,
        output_cls_token=False,  # a feature map per time step
        with_cp=False,  # 'cheap', True: less memory, the same numbers
        init_cfg=dict(type='Pretrained', checkpoint=pretrained, prefix='backbone.'),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_stride=32, output_size=8),  # mmaction2's default is 16
        bbox_head=dict(in_channels=768, num_classes=81, dropout_ratio=0.5),
    ),
)

data_root = 'data/ava/rawframes'
anno_root = 'data/ava/annotations'
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='AVADataset',
        ann_file=f'{anno_root}/ava_train_v2.2.csv',
        exclude_file=f'{anno_root}/ava_train_excluded_timestamps_v2.2.csv',
        label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
        proposal_file=f'{anno_root}/ava_dense_proposals_train.FAIR.recall_93.9.pkl',
        data_prefix=dict(img=data_root),
    ),
)
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        type='AVADataset',
        ann_file=f'{anno_root}/ava_val_v2.2.csv',
        exclude_file=f'{anno_root}/ava_val_excluded_timestamps_v2.2.csv',
        label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
        proposal_file=f'{anno_root}/ava_dense_proposals_val.FAIR.recall_93.9.pkl',
        data_prefix=dict(img=data_root),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file=f'{anno_root}/ava_val_v2.2.csv',
    exclude_file=f'{anno_root}/ava_val_excluded_timestamps_v2.2.csv',
    label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
)
test_evaluator = val_evaluator

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    constructor='mmvidssl.LayerDecayConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    optimizer=dict(type='AdamW', lr=1.25e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=40, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=64)
param_scheduler = [
    dict(
        type='mmvidssl.WarmupCosineLR',
        warmup=5,
        max_share=0.25,
        start_ratio=0.1,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=20)

default_hooks = dict(
    checkpoint=dict(
        _delete_=True,
        type='mmvidssl.PlainCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='mAP/overall',
        rule='greater',
    ),
    schedule=dict(type='mmvidssl.ScheduleHook'),
)
custom_hooks = [
    dict(type='mmvidssl.PretrainedReportHook'),
    dict(type='mmvidssl.DataCheckHook'),
    dict(type='mmvidssl.NaNGuardHook'),
]
