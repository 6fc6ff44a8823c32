"""Pretrained weights that arrive whole, or training that does not begin."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, find_latest_checkpoint

from mmvidssl.registry import HOOKS

from ..checkpoint import (
    Coverage,
    Start,
    check_arrival,
    drop_sources,
    examine_all,
    examine_start,
    read_weights,
)
from ..checkpoint.coverage_text import Source, report
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

    Where a run starts from ``load_from``, that file takes the place of every such ``init_cfg`` of a
    module that it has weights of: theirs are not read and need not be there. It is examined and
    reported likewise: it must cover the model's backbone, or for a test all of the model. From a
    training checkpoint of DINO or DoRA, a model with one backbone takes the teacher's.

    Works on the models of any library, with ``DistributedDataParallel`` too. What a resumed run
    loads is left to ``PlainCheckpointHook``; it reads no file of an ``init_cfg``.

    Args:
        allow_new: Patterns (``'norm3.*'``) of tensors, by their name in the module, that may be
            missing from the file or of another shape, and keep their initialisation, where the
            model is trained. Those that only pretraining uses (the mask token) always may.
    """

    priority = 'LOWEST'  # a checkpoint hook has found what to resume from; all is initialised

    def __init__(self, allow_new: Sequence[str] = ()) -> None:
        if isinstance(allow_new, str):
            raise TypeError(
                f'allow_new must be a list of patterns, got the string {allow_new!r}. '
                f'Write [{allow_new!r}].'
            )
        self.allow_new = tuple(allow_new)
        self._expected: list[tuple[Source, Coverage]] = []
        self._start: Start | None = None
        self._started: Start | None = None
        self._is_done = False

    def before_run(self, runner) -> None:
        """Compare modules and files.

        Raises:
            FileNotFoundError: if a file is missing.
            ValueError: if a file does not cover its module; says how and what to change.
        """
        resumed = _find_resumed(runner)
        if resumed is None and runner._load_from is not None:
            is_tested = is_only_tested(runner)
            self._start = examine_start(
                unwrap_model(runner.model),
                read_weights(runner._load_from),
                runner._load_from,
                allow_new=() if is_tested else self.allow_new,
                is_whole=is_tested,
            )
        # Also called to validate or test, which initialise nothing.
        if self._is_done or not isinstance(runner._train_loop, BaseLoop):
            return
        self._is_done = True
        model, other = unwrap_model(runner.model), resumed or runner._load_from
        if other is not None:
            drop_sources(model, self._start.names if self._start else None)
            runner.logger.info(f'weights come from {other}, in place of those of init_cfg')
        self._expected = examine_all(model, self.allow_new)
        pretrains = hasattr(model, 'target_generator')
        if not (self._expected or other or pretrains):
            runner.logger.warning(
                "no module has init_cfg=dict(type='Pretrained', ...): nothing of the model is "
                'pretrained'
            )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Leave of a checkpoint to start from what the model takes."""
        start, self._start = self._start, None
        if start is not None:
            start.arrange_(checkpoint)
            self._started = start
            runner.logger.info(start.report())

    def before_train(self, runner) -> None:
        """Compare the model's tensors with what they should be, and report.

        Raises:
            RuntimeError: if a tensor is not what loading should have made it.
        """
        started, self._started = self._started, None
        if started is not None:
            check_arrival(started.source, started.coverage)
        expected, self._expected = self._expected, []
        for source, coverage in expected:
            check_arrival(source, coverage)
            runner.logger.info(report(source, coverage))


def is_only_tested(runner) -> bool:
    """Whether a runner validates or tests and does not train."""
    train, *others = (runner._train_loop, runner._val_loop, runner._test_loop)
    return not isinstance(train, BaseLoop) and any(isinstance(o, BaseLoop) for o in others)


def _find_resumed(runner) -> str | None:
    """The checkpoint that the run goes on from, if there is one."""
    if not runner._resume:
        return None
    return runner._load_from or find_latest_checkpoint(runner.work_dir)
