"""Report of what a module loads from a file."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from mmvidssl.utils.roles import BACKBONE, TEACHER

from .coverage import Coverage, Shapes

NUM_SHOWN = 6


class Source(NamedTuple):
    """A module, and the file that it is initialised from.

    Attributes:
        name: Name of the module in the model; empty for the model itself.
        module: The module.
        checkpoint: The file.
        prefix: Prefix of the module's names in the file.
        option: Option of the config that names the file; empty for ``load_from`` or an argument.
    """

    name: str
    module: nn.Module
    checkpoint: str
    prefix: str = ''
    option: str = ''

    @property
    def origin(self) -> str:
        """The file, with the prefix if there is one, for messages."""
        return f'{self.checkpoint} (prefix {self.prefix!r})' if self.prefix else self.checkpoint

    @property
    def place(self) -> str:
        """Beginning of messages: the option that names the file, if there is one."""
        return f'{self.option}: ' if self.option else ''

    def strip(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the file by their names in the module.

        As MMEngine's ``PretrainedInit`` does: without a prefix, that of a wrapper is removed.
        """
        if not self.prefix:
            return {key.removeprefix('module.'): value for key, value in weights.items()}
        prefix = self.prefix.removesuffix('.') + '.'
        return {key.removeprefix(prefix): v for key, v in weights.items() if key.startswith(prefix)}


def report(source: Source, coverage: Coverage) -> str:
    """A line for the log that says what was loaded and what was not."""
    kinds: dict[str, Collection[str]] = dict(
        renamed=[f'{old} as {new}' for new, old in coverage.renamed.items()],
        interpolated=[
            f'{name} {text_of(shapes[0])} -> {text_of(shapes[1])}'
            for name, shapes in coverage.interpolated.items()
        ],
        converted=coverage.converted,
        missing=coverage.missing,
        mismatched=[describe_mismatch(*item) for item in coverage.mismatched.items()],
        unexpected=coverage.unexpected,
    )
    parts = [f'{len(names)} {kind} ({show(names)})' for kind, names in kinds.items() if names]
    first = (
        f'{source.name or "model"}: {len(coverage.loaded)} of {coverage.num_tensors} tensors '
        f'loaded from {source.origin}'
    )
    also = f'also in the file: {show(coverage.other_prefixes)}'
    return '; '.join([first, *parts, *([also] if coverage.other_prefixes else [])])


def find_prefixes(source: Source, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Other prefixes under which a file has at least as many of a module's names, best first.

    Returns:
        Number of names by prefix. Of equals the teacher's comes first, which DINO and DoRA are
        evaluated with.
    """
    names = source.module.state_dict().keys()
    counts: Counter[str] = Counter()
    for key in weights:
        parts = key.split('.')
        for cut in range(len(parts)):
            if '.'.join(parts[cut:]) in names:
                counts[''.join(f'{part}.' for part in parts[:cut])] += 1
    least = max(1, len(names & source.strip(weights).keys()))
    own = f'{source.prefix.removesuffix(".")}.' if source.prefix else ''
    found = {p: count for p, count in counts.items() if count >= least and p != own}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0] != TEACHER + BACKBONE)))


def describe_mismatch(name: str, shapes: Shapes) -> str:
    """Text for a tensor whose shape in the file is not that in the module."""
    return f'{name}: {text_of(shapes[0])} in the file, {text_of(shapes[1])} in the model'


def text_of(shape: Iterable[int]) -> str:
    """A shape as text: ``'384x3x16x16'``; ``'1'`` for a scalar."""
    return 'x'.join(map(str, shape)) or '1'


def show(items: Iterable[str], separator: str = ', ') -> str:
    """The first ``NUM_SHOWN`` items as text, and how many more there are."""
    items = list(items)
    more = [f'and {len(items) - NUM_SHOWN} more'] if len(items) > NUM_SHOWN else []
    return separator.join([*items[:NUM_SHOWN], *more])
