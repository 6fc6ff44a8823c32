"""Layer-wise decay of the learning rate."""

from torch import nn

from mmvidssl.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .decay_groups_constructor import DecayGroupsConstructor

KEY = 'layer_decay_rate'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DecayGroupsConstructor):
    """Layer-wise learning rate decay: each block's rate is a factor below the next block's.

    In a backbone of ``n`` blocks, patch embedding, extra tokens and positions have depth 0, block
    ``i`` has ``i + 1``, and all else (a last norm, necks, heads) has ``n + 1``, with the full rate;
    depth ``d`` has the rate ``lr * layer_decay_rate ** (n + 1 - d)``. Matrices have weight decay;
    biases, norms and other vectors do not. Parameters without gradient are left out.

    For any model of any OpenMMLab library whose ``backbone`` has ``get_layer_depth(name, prefix)``:
    mmpretrain's ViT and those derived from it, and this package's MViT. A cosine schedule needs
    ``eta_min_ratio`` in place of ``eta_min``, which would be one number for all depths.

    Args:
        optim_wrapper_cfg: As in MMEngine.
        paramwise_cfg: ``dict(layer_decay_rate=...)``, in (0, 1].

    Raises:
        ValueError: if ``paramwise_cfg`` is something else.
        TypeError: if the backbone has no ``get_layer_depth``.

    Source: BEiT (Bao et al., 2021), appendix; the fine-tuning of MaskFeat and of iBOT.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        rate = (paramwise_cfg or {}).get(KEY, 0.0)
        if set(paramwise_cfg or {}) != {KEY} or not 0 < rate <= 1:
            raise ValueError(
                f'LayerDecayConstructor needs paramwise_cfg=dict({KEY}=RATE) with RATE in (0, 1], '
                f'and nothing else; got {paramwise_cfg}'
            )
        super().__init__(optim_wrapper_cfg)
        self.layer_decay_rate = rate

    def groups(self, module: nn.Module) -> list[dict]:
        """One group for each depth and kind of parameter, deepest last.

        ``depth`` and ``lr_scale`` of a group are for information.
        """
        members: dict[tuple[int, bool], list[nn.Parameter]] = {}
        last = 0
        for name, parameter in module.named_parameters():
            depth, num_depths = self._depth(module, name)
            last = num_depths - 1
            if parameter.requires_grad:
                members.setdefault((depth, parameter.ndim > 1), []).append(parameter)
        groups = []
        for (depth, decays), parameters in sorted(members.items(), key=lambda item: item[0]):
            scale = self.layer_decay_rate ** (last - depth)
            group = dict(params=parameters, lr=self.base_lr * scale, lr_scale=scale, depth=depth)
            groups.append(group if decays else dict(group, weight_decay=0.0))
        return groups

    @staticmethod
    def _depth(module: nn.Module, name: str) -> tuple[int, int]:
        backbone = getattr(module, 'backbone', None)
        if backbone is None or not hasattr(backbone, 'get_layer_depth'):
            raise TypeError(
                'LayerDecayConstructor needs a model whose backbone has get_layer_depth(name, '
                f'prefix); the backbone of {type(module).__name__} is a {type(backbone).__name__}. '
                'mmpretrain.VisionTransformer, mmvidssl.DINOViT and mmvidssl.MViT have it.'
            )
        return backbone.get_layer_depth(name, 'backbone.')
