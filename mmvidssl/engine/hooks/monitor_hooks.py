"""Evaluations of the frozen backbone while it trains."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch import nn
from torch.utils.data import DataLoader

from mmvidssl.registry import DATASETS, HOOKS, METRICS, MODELS
from mmvidssl.utils.progress import progress

from ..utils import unwrap_model


@HOOKS.register_module()
class MonitorHook(Hook):
    """Evaluate the frozen backbone every ``interval`` iterations, by a ``FrozenEncoder`` config.

    The backbone is the teacher's if there is one; pixels are normalised as in training. Random
    generators and modes are restored afterwards, so that a run with the hook equals one without it
    to the bit. The main process evaluates while the others wait, so the data should be few. Metrics
    are written as ``train/<name>``: log lines and visualizer show the last ones beside the loss.

    Args:
        interval: Iterations from one evaluation to the next.
        data_root: Replaces ``data_root`` of the config's data sets.
        config: A config file, ``'mmvidssl::downstream/...'`` for those of the package.
        dataset: Other options of each of its data sets, ``dict(indices=3)`` for the first three
            samples.
        metric: Options of its (first) metric.
        num_workers: Worker processes of the data loader.

    Raises:
        ValueError: if ``interval`` is not positive, or the backbone does not take the config's
            inputs.
    """

    priority = 55  # after TeacherMomentumHook (50, NORMAL), before LoggerHook (60, BELOW_NORMAL)
    CONFIG = ''
    METRIC: dict = {}

    def __init__(
        self,
        interval: int,
        data_root: str | None = None,
        config: str | None = None,
        dataset: dict | None = None,
        metric: dict | None = None,
        num_workers: int = 0,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval must be positive (iterations), got {interval}')
        self.interval, self.num_workers = interval, num_workers
        self.cfg = Config.fromstring(f'_base_ = {config or self.CONFIG!r}', '.py')
        self.dataset = dict(
            dataset or {}, **({} if data_root is None else dict(data_root=data_root))
        )
        self.metric = metric or {}

    def before_train(self, runner) -> None:
        """Build data and encoder and try one sample, in all processes, so that all fail at once."""
        loader, model = self.cfg.test_dataloader, unwrap_model(runner.model)
        for part in loader.dataset.get('datasets', [loader.dataset]):
            part.update(self.dataset)
        self.loader = DataLoader(
            DATASETS.build(loader.dataset),
            loader.batch_size,
            num_workers=self.num_workers,
            collate_fn=pseudo_collate,
        )
        first, *others = self.cfg.test_evaluator
        first = {**({} if 'type' in self.METRIC else first), **self.METRIC, **self.metric}
        self.metrics = [METRICS.build(part) for part in (first, *others)]
        for part in self.metrics:
            part.dataset_meta = self.loader.dataset.metainfo
        options = {**self.cfg.model, 'backbone': getattr(model, 'teacher', model).backbone}
        for name in ('mean', 'std'):
            options[name] = getattr(model.data_preprocessor, name).flatten()
        if options.get('pool') == 'class':
            options['pool'] = None  # for a backbone without class tokens: the mean
        with untouched(options['backbone']):
            device = options['mean'].device
            self.encoder = MODELS.build({**options, 'type': 'mmvidssl.FrozenEncoder'}).to(device)
            self.encoder.test_step(pseudo_collate([self.loader.dataset[0]]))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Evaluate in the main process, every ``interval`` iterations."""
        if not is_main_process() or not self.every_n_train_iters(runner, self.interval):
            return
        with untouched(self.encoder):
            self.encoder.eval()
            for batch in progress(self.loader, 'monitoring', len(self.loader)):
                samples = [sample.to_dict() for sample in self.encoder.test_step(batch)]
                for metric in self.metrics:
                    metric.process(batch, samples)
            for metric in self.metrics:
                prefix = f'train/{metric.prefix}/' if metric.prefix else 'train/'
                for name, value in metric.compute_metrics(metric.results).items():
                    runner.message_hub.update_scalar(prefix + name, value)
                metric.results.clear()


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Context that restores random generators and the training modes of a module's parts."""
    modes = {part: part.training for part in module.modules()}
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (mmcv's transforms)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        for part, mode in modes.items():
            part.training = mode


IMAGES = 'mmvidssl::downstream/imagenet/knn_vit-small-p16_dora-wt-pre_in1k.py'


@HOOKS.register_module()
class KNNMonitorHook(MonitorHook):
    """:class:`MonitorHook` of k-NN on folders of images, ``<data_root>/{train,val}/<class>/``."""

    CONFIG = IMAGES
    METRIC = dict(k=[20])


@HOOKS.register_module()
class LinearProbeHook(MonitorHook):
    """:class:`MonitorHook` of a linear probe on folders of images, as for k-NN."""

    CONFIG = IMAGES
    METRIC = dict(type='mmvidssl.LinearProbeMetric')


@HOOKS.register_module()
class VOSMonitorHook(MonitorHook):
    """:class:`MonitorHook` of video object segmentation on a folder laid out as DAVIS-2017."""

    CONFIG = 'mmvidssl::downstream/davis/vos_vit-small-p16_dora-wt-pre_davis2017.py'
    METRIC = dict(out_dir=None)
