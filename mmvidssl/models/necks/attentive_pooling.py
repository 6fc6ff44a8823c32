"""Attentive probing: one vector from all tokens of a clip by one learned query."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn, zeros

from mmvidssl.registry import MODELS


@MODELS.register_module()
class AttentivePooling(BaseModule):
    """Attentive pooling: one learned query attends to all tokens; a neck for mmaction2's models.

    With a frozen backbone before it and a linear head behind it (``TSNHead``, ``I3DHead``) it is
    the attentive probe of V-JEPA (Bardes et al., 2024).

    Args:
        in_channels: Width ``D`` of the tokens.
        num_heads: Attention heads; published with the backbone's number of heads.
        mlp_ratio: Width of the block's MLP, relative to ``D``.
        init_cfg: As in MMEngine.

    Differs from the reference: its attention has weights of an output projection, but does not
    apply it. There the query sees all clips of a video at once; here all frames of
    ``Recognizer2D``, and one clip of ``Recognizer3D``.
    """

    def __init__(
        self, in_channels: int, num_heads: int, mlp_ratio: float = 4.0, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        hidden = int(in_channels * mlp_ratio)
        self.query = nn.Parameter(zeros(1, 1, in_channels))
        self.norm1 = nn.LayerNorm(in_channels)
        self.attn = nn.MultiheadAttention(in_channels, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(in_channels)
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.GELU(), nn.Linear(hidden, in_channels)
        )

    def init_weights(self) -> None:
        """Truncated normal, 0.02, of query and matrices, the block's last smaller; biases 0."""
        super().init_weights()
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                trunc_normal_(parameter, std=0.02)
            elif name.endswith('bias'):
                nn.init.zeros_(parameter)
        for last in (self.attn.out_proj, self.mlp[-1]):
            last.weight.data /= 2**0.5

    def forward(self, features: Sequence[Tensor], data_samples=None) -> tuple[Tensor, dict]:
        """Pool the last of ``features``, ``(B, D, t, h, w)``, to ``(B, D, 1, 1, 1)``.

        The second result is the dict of losses that mmaction2 expects, empty.
        """
        tokens = self.norm1(features[-1].flatten(2).transpose(1, 2))
        query = self.query.expand(len(tokens), -1, -1)
        pooled = query + self.attn(query, tokens, tokens, need_weights=False)[0]
        pooled = pooled + self.mlp(self.norm2(pooled))
        return pooled.transpose(1, 2)[..., None, None], {}
