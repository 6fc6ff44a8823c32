"""The frames and patches that targets are made of, aligned with the token grid."""

from torch import Tensor


def target_frames(clip: Tensor, temporal_stride: int = 1) -> Tensor:
    """The frame that each time step of the token grid must predict.

    Frame ``i * temporal_stride`` is the temporal centre of tubelet ``i``: with a patch embedding of
    kernel 3, stride 2 and padding 1 (MViT's), the kernel covers frames ``2i - 1 .. 2i + 1``. A clip
    of one frame has one time step.

    Args:
        clip: ``(B, C, T, H, W)``, or images ``(B, C, H, W)``, which count as clips of one frame.
        temporal_stride: Of the patch embedding.

    Returns:
        ``(B, t, C, H, W)``, a view, ``t = ceil(T / temporal_stride)``.

    Raises:
        ValueError: if ``clip`` has another number of axes.

    Source: MaskFeat, section 4.3.2 (the centre patch of a cube is the best target).
    """
    if clip.ndim == 4:
        return clip.unsqueeze(1)
    if clip.ndim != 5:
        raise ValueError(
            'targets are made of clips (B, C, T, H, W) or images (B, C, H, W), got a tensor of the '
            f'shape {tuple(clip.shape)}'
        )
    return clip[:, :, ::temporal_stride].transpose(1, 2)


def patch_grid(frames: Tensor, patch_size: int) -> tuple[int, int]:
    """How many patches frames ``(..., H, W)`` have in height and width.

    Raises:
        ValueError: if ``patch_size`` does not divide ``H`` and ``W``.
    """
    height, width = frames.shape[-2:]
    if height % patch_size or width % patch_size or not height * width:
        raise ValueError(
            f'targets are made of patches of {patch_size}x{patch_size} pixels, which do not divide '
            f'a frame of {height}x{width}. Crop to a multiple of {patch_size}, or set the '
            'patch_size of the target generator (and the backbone) to a divisor.'
        )
    return height // patch_size, width // patch_size


def check_positive(**values: int) -> None:
    """Refuse numbers of pixels, frames or bins that are not positive integers."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'{name} must be a positive integer, got {value!r}')
