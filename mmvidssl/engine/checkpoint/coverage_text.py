"""Coverage of a module by a file of weights, in words."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from mmvidssl.utils.roles import BACKBONE, TEACHER

from .coverage import Coverage
from .weights_file import CONVERTERS

NUM_SHOWN = 6


class Source(NamedTuple):
    """A module, and the file that it is to be initialised from."""

    name: str
    module: nn.Module
    checkpoint: str
    prefix: str
    fix: str = ''
    """What to do if they do not fit; empty where an ``init_cfg`` names the file, see `advise`."""

    @property
    def option(self) -> str:
        """The ``init_cfg`` that names the file."""
        return f'model.{self.name}.init_cfg' if self.name else 'model.init_cfg'

    @property
    def origin(self) -> str:
        """The weights, in the file."""
        return f'{self.checkpoint} (prefix {self.prefix!r})' if self.prefix else self.checkpoint

    @property
    def place(self) -> str:
        """What messages begin with: where the config names the file, if it does."""
        return '' if self.fix else f'{self.option}: '

    def strip(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the file by their names in the module.

        As MMEngine's ``PretrainedInit`` does: without a prefix, that of a wrapper is removed.
        """
        if not self.prefix:
            return {key.removeprefix('module.'): value for key, value in weights.items()}
        prefix = self.prefix.removesuffix('.') + '.'
        return {key.removeprefix(prefix): v for key, v in weights.items() if key.startswith(prefix)}


def report(source: Source, coverage: Coverage) -> str:
    """One line that says what a module was made of."""
    parts = [f'{len(coverage.as_saved)} as they are in the file']
    if coverage.renamed:
        renamed = (f'{old} as {new}' for new, old in coverage.renamed.items())
        parts.append(f'{len(coverage.renamed)} renamed ({show(renamed)})')
    if coverage.interpolated:
        resized = (f'{name} {_change(shapes)}' for name, shapes in coverage.interpolated.items())
        parts.append(f'{len(coverage.interpolated)} interpolated ({show(resized)})')
    if coverage.converted:
        parts.append(f'{len(coverage.converted)} converted ({show(coverage.converted)})')
    new = [*coverage.new, *coverage.misfits]
    parts.append(f'{len(new)} new' + (f' ({show(new)})' if new else ''))
    unused = f'; left over: {show(coverage.left_over)}' if coverage.left_over else ''
    others = f'; also in the file: {show(coverage.elsewhere)}' if coverage.elsewhere else ''
    if TEACHER + BACKBONE in coverage.elsewhere:
        others += ", the teacher's, which DINO and DoRA are evaluated with"
    return (
        f'{source.name or "model"}: {len(coverage.arrived)} of {coverage.num_tensors} tensors '
        f'loaded from {source.origin}: {", ".join(parts)}'
        f'{unused}{others}'
    )


def find_prefixes(keys: Iterable[str], names: Collection[str]) -> dict[str, int]:
    """Beginnings that ``names`` have among ``keys``, and for how many of them, most first.

    Those for less than half as many as the first are left out.
    """
    counts: Counter[str] = Counter()
    for key in keys:
        parts = key.split('.')
        for cut in range(len(parts)):
            if '.'.join(parts[cut:]) in names:
                counts[''.join(f'{part}.' for part in parts[:cut])] += 1
    most = max(counts.values(), default=0)
    return {prefix: count for prefix, count in counts.most_common() if 2 * count >= most}


def find_elsewhere(source: Source, weights: Mapping[str, Tensor]) -> list[str]:
    """Other prefixes under which the file has all that it has under the source's."""
    given = source.strip(weights)
    found = find_prefixes(weights, given.keys() & source.module.state_dict().keys())
    most = max(found.values(), default=0)
    current = f'{source.prefix.removesuffix(".")}.' if source.prefix else ''
    return [prefix for prefix, count in found.items() if count == most and prefix != current]


def find_extra_blocks(names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Blocks that ``names`` have beyond the last of those of the same list in ``own``."""
    lists = _blocks(own)
    return [
        f'{place}.{number}'
        for place, numbers in _blocks(names).items()
        for number in sorted(numbers)
        if place in lists and number > max(lists[place])
    ]


def _blocks(names: Iterable[str]) -> dict[str, set[int]]:
    """Numbers of the members of every list of modules, by its name."""
    found: dict[str, set[int]] = {}
    for name in names:
        parts = name.split('.')
        for place, part in enumerate(parts):
            if part.isdigit():
                found.setdefault('.'.join(parts[:place]), set()).add(int(part))
    return found


def advise(source: Source, weights: Mapping[str, Tensor]) -> str:
    """What to change if the weights of a file do not cover a module."""
    if tool := _find_converter(weights, source.module.state_dict()):
        return (
            f'The names in the file are those of the released code ({show(weights)}): convert it '
            f'with {CONVERTERS}{tool}, and name the new file.'
        )
    if source.fix:
        return source.fix
    names = set(source.module.state_dict())
    num_given = len(names & source.strip(weights).keys())
    found = find_prefixes(weights, names)
    better = {p: n for p, n in found.items() if n > num_given and 2 * n > len(names)}
    if better:
        listed = ', '.join(f'{prefix!r} ({n} of {len(names)})' for prefix, n in better.items())
        # DINO and DoRA are evaluated by their teacher.
        best = max(better, key=lambda prefix: (better[prefix], prefix == TEACHER + BACKBONE))
        return (
            f'Prefixes for the names of the model: {listed}. Set {source.option}.prefix={best!r}.'
        )
    beginnings = sorted({key.split('.')[0] + '.' for key in weights})
    no_prefix = f'No prefix fits; names in the file begin with {show(beginnings)} '
    module = source.option.removesuffix('.init_cfg')
    return (
        f'{no_prefix if 2 * num_given <= len(names) else ""}'
        f'Name a checkpoint of the same method and size, or give {module} the type and arch of the '
        "checkpoint's. What may be new is listed in PretrainedReportHook's allow_new."
    )


def _find_converter(names: Iterable[str], own: Iterable[str]) -> str | None:
    """The tool that renames blocks of a released ViT, where those of the model are mmpretrain's."""
    names = list(names)
    of_vit = any(re.search(r'(^|\.)blocks\.(\d+\.)+norm1\.', name) for name in names)
    of_mvit = any('.attn.rel_pos_' in name or '.attn.pool_' in name for name in names)
    if not of_vit or of_mvit or not any(re.search(r'(^|\.)layers\.\d+\.ln1\.', n) for n in own):
        return None
    is_slowfast = any('pred_head.' in name or 'head.projection.' in name for name in names)
    return 'slowfast_to_mmvidssl.py' if is_slowfast else 'dora_to_mmvidssl.py'


def compare(weights: Mapping[str, Tensor], module: nn.Module) -> str:
    """Weights, without prefix, and a module in a few words."""
    return (
        f'the file has {describe(weights)}; the model, {type(module).__name__}, has '
        f'{describe(module.state_dict())}'
    )


def describe(weights: Mapping[str, Tensor]) -> str:
    """``'12 blocks (layers.*), patch_embed.projection.weight 384x3x16x16'`` or the like."""
    blocks: dict[str, set[int]] = {}
    for name in weights:
        found = re.match(r'([\w.]+?)\.(\d+)\.', name)
        if found:
            blocks.setdefault(found[1], set()).add(int(found[2]))
    parts = [f'{len(numbers)} blocks ({name}.*)' for name, numbers in blocks.items()][:NUM_SHOWN]
    first = next((name for name, value in weights.items() if value.ndim > 3), None)
    if first is not None:
        parts.append(f'{first} {_text(weights[first].shape)}')
    return ', '.join(parts) or f'{len(weights)} tensors'


def describe_misfit(name: str, shapes: tuple[Iterable[int], Iterable[int]]) -> str:
    """A tensor of another shape in the file than in the module."""
    return f'{name}: {_text(shapes[0])} in the file, {_text(shapes[1])} in the model'


def _change(shapes: tuple[Iterable[int], Iterable[int]]) -> str:
    return f'{_text(shapes[0])} -> {_text(shapes[1])}'


def _text(shape: Iterable[int]) -> str:
    """``'384x3x16x16'``; ``'1'`` for a number."""
    return 'x'.join(map(str, shape)) or '1'


def show(items: Iterable[str], separator: str = ', ') -> str:
    """The first few of many."""
    items = list(items)
    more = [f'and {len(items) - NUM_SHOWN} more'] if len(items) > NUM_SHOWN else []
    return separator.join([*items[:NUM_SHOWN], *more])
