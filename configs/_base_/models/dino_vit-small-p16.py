# DINO (Caron et al., ICCV 2021), ViT-S/16, applied to the frames of clips.
model = dict(
    type='DINO',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(
        type='DINOViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        out_type='cls_token',
    ),
    neck=dict(
        type='DINONeck',
        in_channels=384,
        num_prototypes=65536,
        hidden_channels=2048,
        bottleneck_channels=256,
        num_layers=3,
        use_bn=False,
        norm_last_layer=False,
    ),
    target_generator=dict(
        type='DistillationTargetGenerator',
        num_prototypes=65536,
        center_momentum=0.1,
        teacher_temp=0.04,
    ),
    head=dict(type='DINOHead', loss=dict(type='DINOLoss', student_temp=0.1)),
)
