"""Backbones for ``torch.hub.load``, with random weights or those of a checkpoint.

    model = torch.hub.load('path/to/mmvidssl', 'dino_vit_small_p16', source='local',
                           checkpoint='backbone-xxxxxxxx.pth')

Each takes ``checkpoint`` (a published backbone, or a checkpoint of a run or a converter), ``role``
(``'teacher'`` or ``'student'``, of a checkpoint that has both), and options of the class, among
them ``img_size`` or ``spatial_size``, ``out_indices`` and ``out_type``. The models take normalised
input.
"""

dependencies = [
    *('torch', 'mmengine', 'mmcv', 'mmpretrain', 'av', 'safetensors', 'tqdm'),
    *('filelock', 'pebble'),
]


def _build(cfg: dict, checkpoint: str | None, role: str, options: dict):
    from mmvidssl.apis import init_backbone

    return init_backbone({**cfg, **options}, checkpoint, role)


def _vit(arch: str, patch_size: int, checkpoint: str | None, role: str, options: dict):
    cfg = dict(type='mmvidssl.DINOViT', arch=arch, patch_size=patch_size)
    return _build(cfg, checkpoint, role, options)


def _mvit(arch: str, checkpoint: str | None, role: str, options: dict):
    from importlib.util import find_spec

    if find_spec('mmaction') is None:  # ViTs do without
        raise ImportError(
            'hubconf.py: the MViTs of MaskFeat are those of mmaction2, which is not installed; '
            'install it as tools/install.sh does'
        )
    return _build(dict(type='mmvidssl.MViT', arch=arch), checkpoint, role, options)


def dino_vit_tiny_p16(checkpoint: str | None = None, role: str = 'teacher', **options):
    """ViT-T/16 of DINO and DoRA; images ``(B, 3, H, W)`` to ``(class tokens (B, 192),)``."""
    return _vit('deit-tiny', 16, checkpoint, role, options)


def dino_vit_small_p16(checkpoint: str | None = None, role: str = 'teacher', **options):
    """ViT-S/16 of DINO and DoRA; images ``(B, 3, H, W)`` to ``(class tokens (B, 384),)``."""
    return _vit('deit-small', 16, checkpoint, role, options)


def dino_vit_base_p16(checkpoint: str | None = None, role: str = 'teacher', **options):
    """ViT-B/16 of DINO and DoRA; images ``(B, 3, H, W)`` to ``(class tokens (B, 768),)``."""
    return _vit('deit-base', 16, checkpoint, role, options)


def maskfeat_vit_base_p16(checkpoint: str | None = None, role: str = 'teacher', **options):
    """ViT-B/16 of MaskFeat; images ``(B, 3, H, W)`` to ``(tokens (B, 197, 768),)``."""
    cfg = dict(type='mmvidssl.MaskFeatViT', arch='base', patch_size=16)
    return _build(cfg, checkpoint, role, options)


def maskfeat_vit_large_p16(checkpoint: str | None = None, role: str = 'teacher', **options):
    """ViT-L/16 of MaskFeat; images ``(B, 3, H, W)`` to ``(tokens (B, 197, 1024),)``."""
    cfg = dict(type='mmvidssl.MaskFeatViT', arch='large', patch_size=16)
    return _build(cfg, checkpoint, role, options)


def maskfeat_mvit_small(checkpoint: str | None = None, role: str = 'teacher', **options):
    """MViTv2-S for fine-tuning; clips ``(B, 3, 16, 224, 224)`` to ``([patches, class],)``."""
    return _mvit('small', checkpoint, role, options)


def maskfeat_mvit_large(checkpoint: str | None = None, role: str = 'teacher', **options):
    """MViTv2-L for fine-tuning; clips ``(B, 3, 16, 224, 224)`` to ``([patches, class],)``."""
    return _mvit('large', checkpoint, role, options)
