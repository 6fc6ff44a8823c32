"""Figures in ``tests/data`` that the authors' released code gave, and the inputs behind them.

Neither weights nor inputs are stored: each is noise seeded by its own name.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA = Path(__file__).parents[1] / 'data'


def load_figures(name: str) -> tuple[dict, dict[str, Tensor]]:
    """How the run ``name`` was set up, and what came out of it."""
    setup = json.loads((DATA / f'{name}.json').read_text())
    with np.load(DATA / f'{name}.npz') as arrays:
        return setup, {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}


def named_noise(name: str, shape: list[int] | tuple[int, ...]) -> Tensor:
    """Standard-normal float32 noise, a function of the name and the shape."""
    seed = zlib.crc32(name.encode())
    noise = np.random.RandomState(seed).standard_normal(tuple(shape))  # noqa: NPY002
    return torch.from_numpy(noise.astype(np.float32))


def named_weights(shapes: dict[str, list[int]], salt: str) -> dict[str, Tensor]:
    """Weights of a network whose parameters have these names and shapes.

    Scales (of norms and of weight norm) lie around one, other vectors around zero; matrices keep
    the size of what passes through them.
    """
    return {
        name: _weight(name, shape, named_noise(salt + name, shape))
        for name, shape in shapes.items()
    }


def _weight(name: str, shape: list[int], noise: Tensor) -> Tensor:
    if name.endswith('weight_g') or (len(shape) < 2 and name.endswith('weight')):
        return 1 + 0.1 * noise
    if len(shape) < 2:
        return 0.05 * noise
    fan_in = int(np.prod(shape[1:]))
    return 0.8 * noise / fan_in**0.5


def role_weights(setup: dict, role: str) -> dict[str, Tensor]:
    """The weights of the run's ``'student'`` or ``'teacher'``, under the released code's names."""
    return named_weights(setup['student_keys'], f'{setup["salt"]}{role}.')


def center_of(setup: dict) -> Tensor:
    """The center ``(1, K)`` that the run began with."""
    return 0.1 * named_noise(setup['salt'] + 'center', (1, setup['out_dim']))


def inputs_of(setup: dict) -> dict:
    """The views of the run."""

    def clip(name, size):
        shape = (setup['batch'], setup['frames'], 3, size, size)
        return named_noise(setup['salt'] + name, shape).transpose(1, 2)

    local_clips = [clip(f'local{i}', setup['local']) for i in range(setup['num_locals'])]
    return dict(global_clip=clip('global', setup['img']), local_clips=local_clips)


def model_cfg(setup: dict) -> dict:
    """Our config of what the run trained."""
    arch = dict(
        embed_dims=setup['dim'],
        num_layers=setup['depth'],
        num_heads=setup['heads'],
        feedforward_channels=4 * setup['dim'],
    )
    return dict(
        type='mmvidssl.DoRA',
        preset='official',
        backbone=dict(
            type='mmvidssl.DINOViT', arch=arch, img_size=setup['img'], patch_size=setup['patch']
        ),
        neck=dict(
            type='mmvidssl.DINONeck',
            in_channels=setup['dim'],
            num_prototypes=setup['out_dim'],
            hidden_channels=setup['hidden'],
            bottleneck_channels=setup['bottleneck'],
            norm_last_layer=False,
        ),
        tracker=dict(
            type='mmvidssl.MultiObjectTracker',
            num_objects=len(setup['selected_heads']),
            heads=setup['selected_heads'],
        ),
        target_generator=dict(
            type='mmvidssl.DistillationTargetGenerator',
            num_prototypes=setup['out_dim'],
            center_momentum=1 - setup['center_momentum'],
            teacher_temp=setup['teacher_temp'],
        ),
        head=dict(
            type='mmvidssl.DoRAHead',
            loss=dict(type='mmvidssl.DINOLoss', student_temp=setup['student_temp']),
        ),
    )


RENAMES = (
    ('patch_embed.proj.', 'patch_embed.projection.'),
    ('.blocks.', '.layers.'),
    ('.norm1.', '.ln1.'),
    ('.norm2.', '.ln2.'),
    ('mlp.fc1', 'ffn.layers.0.0'),
    ('mlp.fc2', 'ffn.layers.1'),
    ('backbone.norm.', 'backbone.ln1.'),
    ('head.', 'neck.'),
    ('last_layer.weight_g', 'last_layer.parametrizations.weight.original0'),
    ('last_layer.weight_v', 'last_layer.parametrizations.weight.original1'),
)


def our_name(official: str) -> str:
    """Name in this package of a parameter of DINO's or DoRA's released code."""
    for old, new in RENAMES:
        official = official.replace(old, new)
    return official


def released_name(ours: str) -> str:
    """Inverse of :func:`our_name`."""
    for old, new in reversed(RENAMES):
        ours = ours.replace(new, old)
    return ours
