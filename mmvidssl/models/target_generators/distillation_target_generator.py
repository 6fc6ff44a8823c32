"""DINO's targets: the teacher's logits, centered and sharpened."""

import torch
from mmengine.dist import all_gather, all_reduce, get_rank
from mmengine.model import BaseModule
from torch import Tensor

from mmvidssl.registry import MODELS

from ..utils import sinkhorn_knopp

CENTERINGS = ('mean', 'sinkhorn_knopp')
NUM_SINKHORN_ITERS = 3  # as in DINOv2


@MODELS.register_module()
class DistillationTargetGenerator(BaseModule):
    """DINO's targets from the teacher's logits: ``softmax((logits - center) / teacher_temp)``.

    The center is the running mean of the logits over all frames, clips and processes. Forward
    passes in training mode accumulate the mean; :meth:`finish_step`, once per optimizer step, moves
    the center towards it, so that gradient accumulation has the effect of one large batch.

    Args:
        num_prototypes: Number ``K`` of prototypes.
        center_momentum: Weight of the new mean (DINO's ``m`` is one minus it).
        teacher_temp: Temperature; an engine hook may change it in the course of training.
        centering: ``'mean'`` as above; or ``'sinkhorn_knopp'``, which gives every prototype an
            equal share of the frames of a pass (in training of all processes, whose batches must be
            of one size) and makes no use of the center. It is more stable with small batches and
            short runs.

    Source: DINO, section 3.1, "Avoiding collapse". Differs from the reference: nothing. Sinkhorn-
    Knopp centering: DINOv2 (Oquab et al., 2023), section 4.
    """

    center: Tensor
    pass_sum: Tensor
    num_passes: Tensor
    filled_on_load = ('pass_sum', 'num_passes')  # which files of earlier versions lack

    def __init__(
        self,
        num_prototypes: int,
        center_momentum: float = 0.1,
        teacher_temp: float = 0.04,
        centering: str = 'mean',
    ) -> None:
        super().__init__()
        if not 0 <= center_momentum <= 1:
            raise ValueError(
                f'center_momentum is the weight of the new mean and lies in [0, 1], got '
                f'{center_momentum}'
            )
        if teacher_temp <= 0:
            raise ValueError(f'teacher_temp must be positive, got {teacher_temp}')
        if centering not in CENTERINGS:
            raise ValueError(f'centering must be one of {CENTERINGS}, got {centering!r}')
        self.num_prototypes = num_prototypes
        self.centering = centering
        self.center_momentum = center_momentum
        self.teacher_temp = teacher_temp
        self.register_buffer('center', torch.zeros(1, num_prototypes))
        # Of the current step; saved, because a checkpoint may be written within an accumulation.
        self.register_buffer('pass_sum', torch.zeros(1, num_prototypes))
        self.register_buffer('num_passes', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Logits ``(..., K)`` -> probabilities ``(..., K)`` in float32, without gradient."""
        logits = logits.float()
        if self.centering == 'mean':
            target = ((logits - self.center) / self.teacher_temp).softmax(dim=-1)
        else:
            frames = [logits.flatten(0, -2)]
            if self.training:
                frames = all_gather(frames[0])  # of each process
            shares = sinkhorn_knopp(torch.cat(frames), self.teacher_temp, NUM_SINKHORN_ITERS)
            target = shares.chunk(len(frames))[get_rank() if self.training else 0].view_as(logits)
        if self.training:
            mean = logits.flatten(0, -2).mean(dim=0, keepdim=True)
            all_reduce(mean, op='mean')
            self.pass_sum += mean
            self.num_passes += 1
        return target

    @torch.no_grad()
    def finish_step(self) -> None:
        """Move the center by the mean of the passes since the last call, if there were any."""
        if self.num_passes:
            self.center.lerp_(self.pass_sum / self.num_passes, self.center_momentum)
            self.pass_sum.zero_()
            self.num_passes.zero_()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        if f'{prefix}center' in state_dict:  # earlier versions and released code save only this
            state_dict.setdefault(f'{prefix}pass_sum', torch.zeros(1, self.num_prototypes))
            state_dict.setdefault(f'{prefix}num_passes', torch.zeros((), dtype=torch.long))
        super()._load_from_state_dict(state_dict, prefix, *args)
