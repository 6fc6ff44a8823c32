"""A classifier's probabilities for each patch as targets."""

from torch import Tensor

from mmvidssl.registry import MODELS

from .teacher_generator import TeacherGenerator, last_feature_map, maps_to_tokens, resize_maps


@MODELS.register_module()
class PseudoLabelGenerator(TeacherGenerator):
    """Targets: a classifier's soft labels of each patch (token labelling), in float32.

    The classifier's head is applied at every position of the backbone's last feature map instead of
    to the mean of all; the probabilities are resized to the token grid.

    Args:
        classifier: Config of a frozen model with ``backbone`` and ``head``
            (``mmpretrain.ImageClassifier``), whose head takes a tuple of features ``(M, D)`` and
            whose backbone puts out feature maps (a ViT: ``out_type='featmap'``). Its neck, which
            pools, is not used.
        temperature: Temperature of the softmax; below 1 it sharpens.
        **kwargs: As in :class:`TeacherGenerator`.

    Attributes:
        pred_channels: Number ``K`` of classes, the neck's output width; None if not known.

    Raises:
        TypeError: if the model has no backbone or no head.

    Source: MaskFeat, section 3.2, "Pseudo-label"; Jiang et al., "All tokens matter", NeurIPS 2021.
    The loss is ``SoftCrossEntropyLoss``. Differs from the reference: the released code has no such
    target; token labelling keeps the five largest scores, here all are kept.
    """

    def __init__(self, classifier: dict, temperature: float = 1.0, **kwargs) -> None:
        super().__init__(classifier, **kwargs)
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        if not hasattr(self.teacher, 'backbone') or not hasattr(self.teacher, 'head'):
            raise TypeError(
                'PseudoLabelGenerator needs a classifier with a backbone and a head '
                f'(mmpretrain.ImageClassifier), got {type(self.teacher).__name__}'
            )
        self.temperature = temperature
        self.pred_channels: int | None = getattr(self.teacher.head, 'num_classes', None)

    def generate(self, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Targets ``(B, t * h * w, K)``, float32 probabilities.

        Raises:
            ValueError: if the backbone puts out something else than feature maps.
        """
        frames = self._renormalize(frames.flatten(0, 1))
        backbone = self.teacher.backbone
        maps = last_feature_map(backbone(frames), 4, backbone)
        places = maps.permute(0, 2, 3, 1)
        logits = self.teacher.head((places.flatten(0, 2),)).float()
        probs = (logits / self.temperature).softmax(dim=-1).unflatten(0, places.shape[:3])
        return maps_to_tokens(resize_maps(probs.permute(0, 3, 1, 2), grid[1:]), grid[0])
