"""Coverage: which tensors of a module a file of weights has, found out without loading them."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmvidssl.utils.roles import PRETRAINING_ONLY

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape in the file, shape in the module."""
COUNTER = 'num_batches_tracked'


@dataclass
class Coverage:
    """What a module would load from some weights, name by name.

    Attributes:
        loaded: Value that each tensor of the module would get, after the module's own conversions.
        renamed: The name in the file by the name in the module, where the module renames.
        interpolated: Shapes of those that the module interpolates (or cuts) to its own.
        converted: Names of those that the module changes in another way.
        missing: Names in the module that are not in the file.
        mismatched: Shapes of those that differ in shape, and so are not loaded.
        unexpected: Names in the file that the module does not take.
        defaults: Names of ``num_batches_tracked`` counters that are not in the file; they do not
            count as missing, because torch's batch norm does without them or makes them up.
        other_prefixes: Other prefixes under which the file has the same names: another role's.
    """

    loaded: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    interpolated: dict[str, Shapes] = field(default_factory=dict)
    converted: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: dict[str, Shapes] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)
    other_prefixes: list[str] = field(default_factory=list)

    @property
    def num_tensors(self) -> int:
        """Number of the module's tensors, without ``defaults``."""
        return len(self.loaded) + len(self.mismatched) + len(self.missing)


def find_coverage(module: nn.Module, weights: Mapping[str, Tensor]) -> Coverage:
    """Find out what ``module.load_state_dict(weights)`` would load, without changing the module.

    Loading is rehearsed on a copy on the meta device, so whatever a module does while it loads
    (renaming, interpolating positions, dropping tokens) is found out and not assumed.

    Args:
        module: The module that would load them; not changed.
        weights: Tensors by their names in the module, without prefix.

    Raises:
        OtherArchitectureError: if the module finds out that they are of another architecture.
        ValueError: if it fails to convert them to its own shapes.
    """
    rehearsed = _rehearse(module, weights)
    origins = {id(value): name for name, value in weights.items()}
    coverage = Coverage()
    taken = set()
    for name, own in module.state_dict().items():
        value = rehearsed.get(name)
        if name.endswith(COUNTER) and name not in weights and id(value) not in origins:
            coverage.defaults.append(name)
            continue
        if value is None:
            coverage.missing.append(name)
            continue
        is_same = value is weights.get(name)
        origin = name if is_same else origins.get(id(value), name)
        taken.add(origin)
        if value.shape != own.shape:
            coverage.mismatched[name] = tuple(value.shape), tuple(own.shape)
            continue
        coverage.loaded[name] = value
        if origin != name:
            coverage.renamed[name] = origin
        elif name in weights and weights[name].shape != value.shape:
            coverage.interpolated[name] = tuple(weights[name].shape), tuple(value.shape)
        elif not is_same:
            coverage.converted.append(name)
    coverage.unexpected = [n for n in weights if n not in taken and n not in rehearsed]
    return coverage


def _rehearse(module: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Value that each name would get, of any shape; None for a name that the module replaces."""
    tensors = (*module.parameters(), *module.buffers())
    shell = copy.deepcopy(module, {id(tensor): _without_memory(tensor) for tensor in tensors})
    given: dict[str, Tensor | None] = {}

    def visit(part: nn.Module, state: dict[str, Tensor], prefix: str) -> None:
        part = part.module if is_model_wrapper(part) else part
        names = set(state)
        part._load_from_state_dict(state, prefix, {}, True, [], [], [])
        gone = names - state.keys()  # renamed or joined, but for tokens that are left out
        given.update(dict.fromkeys(name for name in gone if not name.endswith(PRETRAINING_ONLY)))
        for name in (*part._parameters, *part._buffers):
            if prefix + name in state:
                given[prefix + name] = state[prefix + name]
        for name, child in part._modules.items():
            if child is not None:
                inner = f'{prefix}{name}.'
                visit(child, {k: v for k, v in state.items() if k.startswith(inner)}, inner)

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # torch's, that tensors on the meta device take no values
        try:
            visit(shell, dict(weights), '')
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f'{type(module).__name__} cannot convert the weights to its own shapes '
                f'({type(error).__name__}: {error})'
            ) from error
    return given


def _without_memory(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device='meta')
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
