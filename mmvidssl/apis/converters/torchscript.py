"""Exporters of backbones to one file that runs without this package (TorchScript, ONNX)."""

import json
import os
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmvidssl.utils.atomic_file import atomic_path

from ..features import FeatureExtractor
from .files import check_target

ONNX = ('onnx', 'onnxscript', 'onnxruntime')
META = 'mmvidssl.json'
TOLERANCE = 1e-3


class ExportedBackbone(NamedTuple):
    """What :func:`export_backbone` wrote, and how well it agrees."""

    path: Path
    meta: dict[str, Any]
    """``input_shape`` (-1 = any number of samples), ``output_shape``, ``layers``, ``pool``."""
    difference: float
    """Largest difference to the features of the model, relative to the largest feature."""


def export_backbone(
    model: nn.Module,
    out: str | os.PathLike,
    size: int | Sequence[int] | None = None,
    layers: int | Sequence[int] = -1,
    pool: str | None = None,
    role: str | None = None,
    force: bool = False,
) -> ExportedBackbone:
    """Write pixels-to-features as ONNX (``.onnx``), TorchScript (``.ts``) or ``torch.export``.

    The file takes float32 RGB from 0 to 255, normalises it, and gives the features of
    :class:`FeatureExtractor`. The number of samples is free, the size of frames (and the length of
    clips) fixed. The file is read back and compared with the model for another number of samples
    and other pixels.

    ``.ts`` is read by ``torch.jit.load``, in Python and C++; PyTorch deprecates the format in
    favour of ``.pt2``, which ``torch.export.load`` reads. ``.onnx`` maps ``pixels`` to ``features``
    and is compared in onnxruntime.

    Args:
        model: From :func:`init_model`, in evaluation mode, on the CPU.
        out: The new file; written whole or not at all.
        size: Height and width of frames, an int for squares; None for what the model was built for.
        layers: See :class:`FeatureExtractor`, also for ``pool`` and ``role``.
        pool: See there.
        role: See there.
        force: Whether ``out`` may exist.

    Raises:
        FileExistsError: if ``out`` exists and ``force`` is not set.
        ImportError: if ``.onnx`` is asked for and its packages are not installed.
        ValueError: if ``out`` has another suffix, the model is still in training mode, an argument
            does not fit the model, or the file gives other features than the model.
    """
    out = Path(out)
    if out.suffix not in FORMATS:
        raise ValueError(f'the new file must end in one of {", ".join(FORMATS)}, got {out}')
    write, read = FORMATS[out.suffix]
    check_target(out, force)
    extractor = FeatureExtractor(model, layers, pool, role)
    if model.training:
        raise ValueError('the model is in training mode; call model.eval() first')
    example = _example(extractor, size, num_samples=2)
    with torch.no_grad():
        features = extractor(example)
    meta = dict(
        input_shape=[-1, *example.shape[1:]],
        output_shape=[-1, *features.shape[1:]],
        layers=list(extractor.layers),
        pool=extractor.pool,
        backbone=type(extractor.backbone).__name__,
    )
    with atomic_path(out) as temporary:
        write(extractor, example, {META: json.dumps(meta)}, temporary)
        difference = _compare(extractor, read(temporary), _example(extractor, size, num_samples=1))
        if not difference < TOLERANCE:
            raise ValueError(
                f"{out} is not written: its features differ from the model's by {difference:.1e} "
                f'of the largest, more than {TOLERANCE:.0e}'
            )
    return ExportedBackbone(out, meta, difference)


def _example(extractor: FeatureExtractor, size, num_samples: int) -> Tensor:
    if size is None:
        size = _built_for(extractor.backbone)
    height, width = (size, size) if isinstance(size, int) else size
    frames = () if extractor.clip_len is None else (extractor.clip_len,)
    rng = torch.Generator().manual_seed(num_samples)
    return 255 * torch.rand(num_samples, 3, *frames, height, width, generator=rng)


def _built_for(backbone: nn.Module) -> tuple[int, int]:
    """Height and width of frames on which the backbone learned its positions."""
    stride = backbone.patch_embed.projection.stride
    sides = zip(backbone.patch_resolution[-2:], stride[-2:], strict=True)
    height, width = (grid * step for grid, step in sides)
    return height, width


def _script(extractor: nn.Module, example: Tensor, files: dict[str, str], path: Path) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        # Warnings that the format is deprecated, and that the size of frames becomes fixed.
        warnings.simplefilter('ignore')
        traced = torch.jit.trace(extractor, example, check_trace=False)
        torch.jit.save(traced, str(path), _extra_files=files)


def _read_script(path: Path) -> Callable[[Tensor], Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return torch.jit.load(str(path))


def _program(extractor: nn.Module, example: Tensor):
    samples = torch.export.Dim('samples', min=1)
    with torch.no_grad():
        return torch.export.export(extractor, (example,), dynamic_shapes=({0: samples},))


def _export(extractor: nn.Module, example: Tensor, files: dict[str, str], path: Path) -> None:
    torch.export.save(_program(extractor, example), str(path), extra_files=files)


def _read_export(path: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(str(path)).module()


def _onnx(extractor: nn.Module, example: Tensor, files: dict[str, str], path: Path) -> None:
    if missing := [name for name in ONNX if find_spec(name) is None]:
        raise ImportError(f'ONNX needs {", ".join(missing)}: pip install {" ".join(ONNX)}')
    names = dict(input_names=['pixels'], output_names=['features'])
    program = torch.onnx.export(_program(extractor, example), verbose=False, **names)
    program.model.metadata_props.update(files)
    program.save(str(path), external_data=False)


def _read_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda pixels: torch.from_numpy(session.run(None, {'pixels': pixels.numpy()})[0])


FORMATS = {
    '.ts': (_script, _read_script),
    '.pt2': (_export, _read_export),
    '.onnx': (_onnx, _read_onnx),
}


@torch.no_grad()
def _compare(model: nn.Module, exported: Callable[[Tensor], Tensor], pixels: Tensor) -> float:
    expected, found = model(pixels), exported(pixels)
    return float((found - expected).abs().max() / expected.abs().max())
