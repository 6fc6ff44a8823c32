"""From the config of a backbone and a checkpoint to a backbone that is ready to use."""

import os

from mmengine.logging import MMLogger
from torch import nn

from mmvidssl.engine.checkpoint import examine, read_plain
from mmvidssl.engine.checkpoint.coverage_text import Source, report
from mmvidssl.registry import MODELS
from mmvidssl.utils.roles import select_weights

from .init_model import only_warnings

OWN_BACKBONE = 'Build the backbone that the checkpoint is of: the same method, arch and patch size.'


def init_backbone(
    backbone: dict, checkpoint: str | os.PathLike | None = None, role: str = 'teacher'
) -> nn.Module:
    """Build a backbone alone, load its weights, and put it into evaluation mode.

    Positions of another image size (or clip length) are interpolated as the backbone's class does.
    The log says what was loaded and what is left over, such as a last norm that the backbone's
    options leave out.

    Args:
        backbone: Its config, ``dict(type='mmvidssl.DINOViT', ...)``.
        checkpoint: A training checkpoint, or a published backbone. None leaves the random
            initialisation.
        role: ``'teacher'`` or ``'student'``; a file with one backbone gives that one.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the checkpoint has no such backbone, lacks weights of it, or is of another
            architecture, a deeper one among them; names the file and the weights.
    """
    model = MODELS.build(backbone)
    if checkpoint is None:
        with only_warnings():
            model.init_weights()
        model.eval()  # mmpretrain's backbones return nothing
        return model
    weights, _ = select_weights(read_plain(str(checkpoint)), checkpoint, role)
    source = Source('', model, str(checkpoint), '', OWN_BACKBONE)
    MMLogger.get_current_instance().info(report(source, examine(source, weights)))
    model.load_state_dict(weights, strict=False)
    model.eval()
    return model
