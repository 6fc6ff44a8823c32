"""DoRA's augmentation composed of torchvision's transforms, a frame at a time.

Written from the values of the released code: clips are cropped as float tensors (bilinear, not
antialiased), colours, blur and local crops are PIL's; blur with probability 0.1 on the global and
0.5 on local views; local views are not flipped.
"""

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision import transforms as T

BICUBIC = T.InterpolationMode.BICUBIC
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NUM_LOCAL_VIEWS = 6


class PILBlur:
    """PIL's Gaussian blur with a radius uniform in 0.1 to 2, with a probability."""

    def __init__(self, prob: float) -> None:
        self.prob = prob

    def __call__(self, image: Image.Image) -> Image.Image:
        if torch.rand(()) >= self.prob:
            return image
        radius = float(torch.empty(()).uniform_(0.1, 2.0))
        return image.filter(ImageFilter.GaussianBlur(radius))


class PerFrame:
    """From a clip, uint8 ``(T, H, W, 3)``, to the global and six local views.

    Args:
        normalize: Whether views are normalised float32 as in the official code, or stay uint8.
    """

    def __init__(self, normalize: bool = True) -> None:
        colors = [
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
            T.RandomGrayscale(p=0.2),
        ]
        finish = [T.ToTensor(), T.Normalize(MEAN, STD)] if normalize else [T.PILToTensor()]
        self.global_frame = T.Compose([T.ToPILImage(), *colors, PILBlur(0.1), *finish])
        self.local_frame = T.Compose(
            [
                T.ToPILImage(),
                T.RandomResizedCrop(112, scale=(0.05, 0.4), interpolation=BICUBIC),
                *colors,
                PILBlur(0.5),
                *finish,
            ]
        )

    def __call__(self, clip: np.ndarray, seed: int) -> list[torch.Tensor]:
        """Views ``(3, T, h, w)``, the global one first."""
        torch.manual_seed(seed)
        frames = torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 255
        frames = self._crop(frames, 300, (0.2, 1.0))
        chosen = self._crop(frames, 224, (0.4, 1.0))
        if torch.rand(()) < 0.5:
            chosen = chosen.flip(-1)
        views = [torch.stack([self.global_frame(frame) for frame in chosen], dim=1)]
        for _ in range(NUM_LOCAL_VIEWS):
            views.append(torch.stack([self.local_frame(frame) for frame in frames], dim=1))
        return views

    @staticmethod
    def _crop(frames: torch.Tensor, size: int, scale: tuple[float, float]) -> torch.Tensor:
        """The same random part of all frames, bilinear without antialiasing."""
        top, left, height, width = T.RandomResizedCrop.get_params(frames, scale, (3 / 4, 4 / 3))
        part = frames[..., top : top + height, left : left + width]
        return torch.nn.functional.interpolate(part, (size, size), mode='bilinear')
