"""Pretrained weights that arrive whole, or training that does not begin."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import torch
from mmengine.hooks import Hook
from mmengine.model import PretrainedInit
from mmengine.runner import BaseLoop, find_latest_checkpoint
from torch import nn

from mmvidssl.registry import HOOKS
from mmvidssl.utils.roles import PRETRAINING_ONLY

from ..checkpoint import Coverage, find_coverage, read_weights
from ..checkpoint.coverage_text import (
    Source,
    advise,
    compare,
    describe_misfit,
    find_elsewhere,
    report,
    show,
)
from ..unwrap import unwrap_model


@HOOKS.register_module()
class PretrainedReportHook(Hook):
    """Check and report every ``init_cfg=dict(type='Pretrained', ...)`` of a model.

    MMEngine warns of weights that do not match, and trains on. Here, before anything is
    initialised, each module with such an ``init_cfg`` and its file are compared, and training is
    refused unless every tensor of the module is in the file, in its shape or in one that the module
    itself interpolates. Before the first iteration the tensors of the model are compared with those
    of the file, to the bit, and a line says how many were loaded, which were interpolated, which
    are new, and which of the file are left over.

    Works on the models of any library, with ``DistributedDataParallel`` too. Nothing is checked
    where training is resumed or starts from ``load_from``, whose weights replace these.

    Args:
        allow_new: Patterns (``'norm3.*'``) of tensors, by their name in the module, that may be
            missing from the file or of another shape, and keep their initialisation. Those that
            only pretraining uses (the mask token) always may.
    """

    priority = 'LOWEST'  # a checkpoint hook has found what to resume from; all is initialised

    def __init__(self, allow_new: Sequence[str] = ()) -> None:
        if isinstance(allow_new, str):
            raise TypeError(
                f'allow_new must be a list of patterns, got the string {allow_new!r}. '
                f'Write [{allow_new!r}].'
            )
        self.allow_new = (*allow_new, *PRETRAINING_ONLY)
        self._expected: list[tuple[Source, Coverage]] = []
        self._is_done = False

    def before_run(self, runner) -> None:
        """Compare modules and files.

        Raises:
            FileNotFoundError: if a file is missing.
            ValueError: if a file does not cover its module; says how and what to change.
        """
        # Also called to validate or test, which initialise nothing.
        if self._is_done or not isinstance(runner._train_loop, BaseLoop):
            return
        self._is_done = True
        other = _find_replacement(runner)
        if other is not None:
            runner.logger.info(f'weights come from {other}; those of init_cfg are not checked')
            return
        sources = list(find_sources(unwrap_model(runner.model)))
        if not sources:
            runner.logger.warning(
                "no module has init_cfg=dict(type='Pretrained', ...): nothing of the model is "
                'pretrained'
            )
        self._expected = [(source, self.examine(source)) for source in sources]

    def examine(self, source: Source) -> Coverage:
        """What a module will load from its file.

        Raises:
            FileNotFoundError, ValueError: as :meth:`before_run`.
        """
        try:
            weights = read_weights(source.checkpoint)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{source.option}: {error}. Name the pretrained weights, on the command line with '
                f'--cfg-options {source.option}.checkpoint=PATH'
            ) from error
        given = source.strip(weights)
        if not given:
            raise ValueError(
                f'{source.option}: no weight of {source.checkpoint} begins with '
                f'{source.prefix!r}. {advise(source, weights)}'
            )
        try:
            coverage = find_coverage(source.module, given)
        except ValueError as error:
            raise ValueError(
                f'{source.option}: {source.checkpoint}: {error}: {compare(given, source.module)}. '
                f'{advise(source, weights)}'
            ) from error
        problems = self._find_problems(coverage)
        if problems:
            listed = show(problems, separator='\n  ')
            raise ValueError(
                f'{source.option}: {source.checkpoint} (prefix {source.prefix!r}) does not cover '
                f'the {type(source.module).__name__}: {len(problems)} of its '
                f'{coverage.num_tensors} tensors are missing or do not fit:\n  {listed}\n'
                f'{compare(given, source.module)}.\n{advise(source, weights)}'
            )
        coverage.elsewhere = find_elsewhere(source, weights)
        return coverage

    def _find_problems(self, coverage: Coverage) -> list[str]:
        misfits = {n: s for n, s in coverage.misfits.items() if not self._may_be_new(n)}
        missing = [name for name in coverage.new if not self._may_be_new(name)]
        return [
            *(describe_misfit(name, shapes) for name, shapes in misfits.items()),
            *(f'{name}: not in the file' for name in missing),
            *(
                f'{name}: not finite in the file'
                for name, value in coverage.arrived.items()
                if not value.isfinite().all()
            ),
        ]

    def _may_be_new(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.allow_new)

    def before_train(self, runner) -> None:
        """Compare the model's tensors with what they should be, and report.

        Raises:
            RuntimeError: if a tensor is not what loading should have made it.
        """
        expected, self._expected = self._expected, []
        if runner._has_loaded:
            return
        for source, coverage in expected:
            check_arrival(source, coverage)
            runner.logger.info(report(source, coverage))


def find_sources(model: nn.Module) -> Iterator[Source]:
    """Every module of a model that is to be initialised from a file.

    Raises:
        ValueError: if a file is not named.
    """
    for name, module in model.named_modules():
        configs = getattr(module, 'init_cfg', None) or []
        for config in [configs] if isinstance(configs, dict) else configs:
            if config.get('type') in ('Pretrained', PretrainedInit):
                source = Source(
                    name, module, str(config.get('checkpoint') or ''), config.get('prefix') or ''
                )
                if not source.checkpoint:
                    raise ValueError(
                        f'{source.option} names no checkpoint. Name the pretrained weights, on the '
                        f'command line with --cfg-options {source.option}.checkpoint=PATH'
                    )
                yield source


def check_arrival(source: Source, coverage: Coverage) -> None:
    """Compare a module with what loading should have made of it.

    Raises:
        RuntimeError: names the tensors that differ.
    """
    state = source.module.state_dict()
    differing = [
        name
        for name, value in coverage.arrived.items()
        if not torch.equal(state[name].cpu(), value.to('cpu', state[name].dtype))
    ]
    if differing:
        raise RuntimeError(
            f'{source.option}: {len(differing)} of {coverage.num_tensors} tensors are not those of '
            f'{source.checkpoint} when training begins: {show(differing)}. Something initialises '
            f'them again after they were loaded: an init_weights() of '
            f'{type(source.module).__name__} or of the model, or a hook.'
        )


def _find_replacement(runner) -> str | None:
    """The checkpoint that will replace all weights, if there is one."""
    if runner._resume and runner._load_from is None:
        return find_latest_checkpoint(runner.work_dir)
    return runner._load_from
