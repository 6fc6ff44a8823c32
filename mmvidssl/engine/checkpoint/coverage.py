"""Which of a module's tensors a file of weights covers, found out without loading them."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
"""In the file, and in the module."""
COUNTER = 'num_batches_tracked'


@dataclass
class Coverage:
    """What a module would have if it loaded some weights, name by name.

    Attributes:
        arrived: What each tensor of the module would be, conversions of the module's own included.
        as_saved: Names of those that are the file's as they are.
        renamed: The name in the file by the name in the module, where the module renames.
        interpolated: Shapes of those that the module interpolates (or cuts) to its own.
        converted: Names of those that the module changes otherwise.
        misfits: Shapes of those that are of another shape, and so are not loaded.
        new: Names of those that are not in the file.
        defaults: Names of counters of batches (``num_batches_tracked``) that are not in the file;
            torch's batch norm does without, or makes them up, so they tell nothing of a file.
        left_over: Names in the file that the module does not take.
        elsewhere: Other prefixes under which the file has the same names: another role's weights.
    """

    arrived: dict[str, Tensor] = field(default_factory=dict)
    as_saved: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    interpolated: dict[str, Shapes] = field(default_factory=dict)
    converted: list[str] = field(default_factory=list)
    misfits: dict[str, Shapes] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    @property
    def num_tensors(self) -> int:
        """Of the module, but for ``defaults``."""
        return len(self.arrived) + len(self.misfits) + len(self.new)


def find_coverage(module: nn.Module, weights: Mapping[str, Tensor]) -> Coverage:
    """Rehearse ``module.load_state_dict(weights)``, which itself would load what it can.

    The rehearsal is on a copy without memory, so whatever a module does while it loads (renaming,
    interpolating positions, dropping tokens) is found out and not assumed.

    Args:
        module: What shall load; not changed.
        weights: Names without prefix.

    Raises:
        ValueError: if the module fails to convert weights to its own shapes.
    """
    arrived = _rehearse(module, weights)
    origins = {id(value): name for name, value in weights.items()}
    coverage = Coverage()
    taken = set()
    for name, own in module.state_dict().items():
        is_given = name in weights or id(arrived.get(name)) in origins
        if name.endswith(COUNTER) and not is_given:
            coverage.defaults.append(name)
            continue
        if name not in arrived:
            coverage.new.append(name)
            continue
        value = arrived[name]
        is_saved = value is weights.get(name)
        origin = name if is_saved else origins.get(id(value), name)
        taken.add(origin)
        if value.shape != own.shape:
            coverage.misfits[name] = tuple(value.shape), tuple(own.shape)
            continue
        coverage.arrived[name] = value
        if is_saved:
            coverage.as_saved.append(name)
        elif origin != name:
            coverage.renamed[name] = origin
        elif name in weights and weights[name].shape != value.shape:
            coverage.interpolated[name] = tuple(weights[name].shape), tuple(value.shape)
        else:
            coverage.converted.append(name)
    coverage.left_over = [name for name in weights if name not in taken]
    return coverage


def _rehearse(module: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each parameter and buffer would be given, in whatever shape."""
    tensors = (*module.parameters(), *module.buffers())
    shell = copy.deepcopy(module, {id(tensor): _without_memory(tensor) for tensor in tensors})
    arrived: dict[str, Tensor] = {}

    def visit(part: nn.Module, state: dict[str, Tensor], prefix: str) -> None:
        part = part.module if is_model_wrapper(part) else part
        part._load_from_state_dict(state, prefix, {}, True, [], [], [])
        for name in (*part._parameters, *part._buffers):
            if prefix + name in state:
                arrived[prefix + name] = state[prefix + name]
        for name, child in part._modules.items():
            if child is not None:
                inner = f'{prefix}{name}.'
                visit(child, {k: v for k, v in state.items() if k.startswith(inner)}, inner)

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # torch's, that a copy without memory takes no values
        try:
            visit(shell, dict(weights), '')
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f'{type(module).__name__} cannot convert the weights to its own shapes '
                f'({type(error).__name__}: {error})'
            ) from error
    return arrived


def _without_memory(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device='meta')
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
