"""Models small enough for a test, and views to feed them."""

import weakref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmvidssl.structures import VidSSLDataSample

NUM_PROTOTYPES = 16


def backbone_cfg(**changes) -> dict:
    """A ViT of 2 blocks, 4 heads, 24 channels, for frames of 32 x 32 pixels in patches of 8."""
    arch = dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48)
    return {'type': 'mmvidssl.DINOViT', 'arch': arch, 'img_size': 32, 'patch_size': 8, **changes}


def dino_cfg(**changes) -> dict:
    """DINO on that backbone."""
    return {
        'type': 'mmvidssl.DINO',
        'backbone': backbone_cfg(),
        'neck': dict(
            type='mmvidssl.DINONeck',
            in_channels=24,
            num_prototypes=NUM_PROTOTYPES,
            hidden_channels=32,
            bottleneck_channels=8,
        ),
        'target_generator': dict(
            type='mmvidssl.DistillationTargetGenerator', num_prototypes=NUM_PROTOTYPES
        ),
        'head': dict(type='mmvidssl.DINOHead', loss=dict(type='mmvidssl.DINOLoss')),
        **changes,
    }


def dora_cfg(**changes) -> dict:
    """DoRA on that backbone."""
    return dino_cfg(
        **{
            'type': 'mmvidssl.DoRA',
            'tracker': dict(type='mmvidssl.MultiObjectTracker', num_objects=2),
            'head': dict(type='mmvidssl.DoRAHead', loss=dict(type='mmvidssl.DINOLoss')),
            **changes,
        }
    )


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard-normal noise, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def views(
    num_locals: int = 3, num_extra_globals: int = 0, batch_size: int = 2, clip_len: int = 3
) -> dict:
    """Normalised inputs: a global clip of 32 x 32 pixels and local ones of 16 x 16."""
    shape = (batch_size, 3, clip_len)
    inputs: dict = dict(
        global_clip=noise(*shape, 32, 32, seed=1),
        local_clips=[noise(*shape, 16, 16, seed=10 + v) for v in range(num_locals)],
    )
    if num_extra_globals:
        inputs['extra_global_clips'] = [
            noise(*shape, 32, 32, seed=100 + v) for v in range(num_extra_globals)
        ]
    return inputs


def maskfeat_cfg(**changes) -> dict:
    """MaskFeat on an MViT of 3 blocks for clips of 4 frames of 32 x 32: a grid of 2 x 4 x 4."""
    arch = dict(embed_dims=8, num_layers=3, num_heads=1, downscale_indices=[1])
    return {
        'type': 'mmvidssl.MaskFeat',
        'backbone': dict(
            type='mmvidssl.MaskFeatMViT',
            arch=arch,
            spatial_size=32,
            temporal_size=4,
            adaptive_kv_stride=(1, 2, 2),
        ),
        'neck': dict(
            type='mmpretrain.LinearNeck',
            in_channels=16,
            out_channels=108,
            norm_cfg=None,
            init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        ),
        'target_generator': dict(type='mmvidssl.HOGGenerator', patch_size=8, cell_size=4),
        'head': dict(type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.RegressionLoss')),
        **changes,
    }


def masked_samples(*masks: Tensor) -> list[VidSSLDataSample]:
    """Data samples with these masks ``(t, h, w)``."""
    samples = [VidSSLDataSample() for _ in masks]
    for sample, mask in zip(samples, masks, strict=True):
        sample.mask = mask
    return samples


class KeptBytes(TorchDispatchMode):
    """Counts the memory that was allocated inside and is still held."""

    def __init__(self):
        super().__init__()
        self.storages = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {one.data_ptr() for one in self._storages_of((args, kwargs))}
        outputs = func(*args, **(kwargs or {}))
        for storage in self._storages_of(outputs):
            if storage.data_ptr() not in given:  # not a view, of a weight, say
                self.storages[id(storage)] = weakref.ref(storage), storage.nbytes()
        return outputs

    @staticmethod
    def _storages_of(tree):
        return [leaf.untyped_storage() for leaf in tree_leaves(tree) if torch.is_tensor(leaf)]

    def total(self):
        return sum(size for storage, size in self.storages.values() if storage() is not None)
