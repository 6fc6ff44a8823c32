"""Models small enough for a test that say targets: features, codes, labels."""

from tests.utils_model import backbone_cfg

VIT = backbone_cfg(out_type='featmap')
CNN = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(1,))
LINEAR_HEAD = dict(type='mmpretrain.LinearClsHead', num_classes=7, in_channels=16)
CLASSIFIER = dict(
    type='mmpretrain.ImageClassifier',
    backbone=CNN,
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=LINEAR_HEAD,
)
VIT_CLASSIFIER = dict(
    type='mmpretrain.ImageClassifier',
    backbone=VIT,
    head=dict(
        type='mmpretrain.VisionTransformerClsHead', num_classes=7, in_channels=24, hidden_dim=5
    ),
)
DALLE = dict(type='mmpretrain.DALL-E', n_hid=8, vocab_size=32)
VQKD = dict(
    type='mmpretrain.VQKD',
    encoder_config=dict(
        arch=dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48),
        img_size=32,
        patch_size=8,
        out_type='featmap',
    ),
    num_embed=32,
    embed_dims=8,
    quantize_kmeans_init=False,
)
