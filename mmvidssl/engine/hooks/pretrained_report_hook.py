"""Check that pretrained weights cover the model, before training begins."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, find_latest_checkpoint

from mmvidssl.registry import HOOKS
from mmvidssl.utils.roles import check_role

from ..checkpoint import (
    Coverage,
    Source,
    Start,
    check_loaded,
    drop_sources,
    examine_all,
    examine_start,
    read_plain,
    report,
)
from ..utils import unwrap_model


@HOOKS.register_module()
class PretrainedReportHook(Hook):
    """Check and report every ``init_cfg=dict(type='Pretrained', ...)`` of a model.

    MMEngine warns of weights that do not match, and trains on. Here, before anything is
    initialised, each module with such an ``init_cfg`` and its file are compared, and training is
    refused unless every tensor of the module is in the file, in its shape or in one that the module
    itself interpolates. Before the first iteration the tensors of the model are compared with those
    of the file, to the bit, and a line says what was loaded, interpolated, missing and unexpected.

    If a run starts from ``load_from``, that file replaces every such ``init_cfg`` of a module that
    it has weights for; their files are not read and need not exist. It is checked and reported in
    the same way, and must cover the model's backbone, or for a test all of the model. From a
    training checkpoint of DINO or DoRA, a model with one backbone takes the teacher's. A resumed
    run reads no file of an ``init_cfg``; ``PlainCheckpointHook`` checks its checkpoint.

    Args:
        allow_new: Patterns (``'norm3.*'``) of tensors, by their name in the module, that may be
            missing from the file or of another shape, and keep their initialisation, where the
            model is trained. Those that only pretraining uses (the mask token) always may.
        role: Whose backbone is taken from such a checkpoint, ``'teacher'`` (the default) or
            ``'student'``.
    """

    priority = 'LOWEST'  # after the checkpoint hook has found what to resume from

    def __init__(self, allow_new: Sequence[str] = (), role: str | None = None) -> None:
        if isinstance(allow_new, str):
            raise TypeError(f'allow_new must be a list of patterns; write [{allow_new!r}]')
        self.allow_new, self.role = tuple(allow_new), role
        self._start: Start | None = None
        self._expected: list[tuple[Source, Coverage]] = []
        self._is_done = False

    def before_run(self, runner) -> None:
        """Compare each module with its file, before anything is initialised.

        Raises:
            FileNotFoundError: if a file is missing.
            ValueError: if a file does not cover its module.
        """
        model, load_from = unwrap_model(runner.model), runner._load_from
        if runner._resume:
            load_from = load_from or find_latest_checkpoint(runner.work_dir)
        elif load_from is not None:
            content, is_tested = read_plain(load_from), is_only_tested(runner)
            check_role(content['meta'], load_from, self.role)
            self._start = examine_start(
                model,
                content['state_dict'],
                load_from,
                self.role,
                allow_new=() if is_tested else self.allow_new,
                is_whole=is_tested,
            )
        # This is also called before validation and tests, which initialise nothing.
        if self._is_done or not isinstance(runner._train_loop, BaseLoop):
            return
        self._is_done = True
        if load_from is not None:
            drop_sources(model, self._start.names if self._start else None)
            runner.logger.info(f'weights come from {load_from}, in place of those of init_cfg')
        self._expected = examine_all(model, self.allow_new)
        pretrains = hasattr(model, 'target_generator')
        if not (self._expected or load_from is not None or pretrains):
            runner.logger.warning(
                "no module has init_cfg=dict(type='Pretrained', ...): nothing of the model is "
                'pretrained'
            )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Reduce the checkpoint of ``load_from`` to what the model takes, and report it."""
        if self._start is not None:
            self._start.filter_checkpoint_(checkpoint)
            runner.logger.info(self._start.report())
            self._expected.append((self._start.source, self._start.coverage))
            self._start = None

    def before_train(self, runner) -> None:
        """Compare the model's tensors with what they should be, and report.

        Raises:
            RuntimeError: if a tensor is not what loading should have made it.
        """
        for source, coverage in self._expected:
            check_loaded(source, coverage)
            if source.option:  # load_from was reported when it was loaded
                runner.logger.info(report(source, coverage))
        self._expected = []


def is_only_tested(runner) -> bool:
    """Whether a runner validates or tests and does not train."""
    train, *others = (runner._train_loop, runner._val_loop, runner._test_loop)
    return not isinstance(train, BaseLoop) and any(isinstance(o, BaseLoop) for o in others)
