"""Test loop that resumes where it was stopped, and writes its results to a file."""

import copy
import hashlib
import json
import math
import os
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.dist import barrier, broadcast_object_list, get_rank, get_world_size, is_main_process
from mmengine.runner import TestLoop
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from mmvidssl.registry import DATASETS, LOOPS
from mmvidssl.utils.atomic_file import atomic_path
from mmvidssl.version import __version__

from ..checkpoint import to_plain
from ..utils import digest_of, unwrap_model

MAX_ROWS = 100
"""Most samples that the table lists; with more it has only the metrics. The file has all."""


@LOOPS.register_module()
class ResumableTestLoop(TestLoop):
    """MMEngine's ``TestLoop`` that resumes, prints a table and writes ``evaluation.json``.

    The metrics' results of each batch are written to ``<work_dir>/results/<fingerprint>/``. The
    same command after a stop resumes from there, with any number of processes; the fingerprint is
    of weights, model, data and metrics, so that other settings start anew. At the end
    ``<work_dir>/evaluation.json`` has the metrics, the values of every sample by its name, the
    number of files per folder, settings, checkpoint and versions, and the results are removed.

    Without a checkpoint, the model is initialised as its config says, by the run's seed.

    Args:
        runner: The runner; its processes share one ``work_dir``.
        dataloader: Config; its sampler does not shuffle.
        evaluator: As in MMEngine. A metric must keep one result of plain data per sample. Those of
            this library's metrics are dicts with a unique ``name``, and ``values`` (numbers by
            name), which become rows of the table.
        fp16: As in MMEngine.

    Raises:
        ValueError: if there is no sample.
    """

    dataloader: DataLoader

    def __init__(self, runner, dataloader: dict, evaluator: Any, fp16: bool = False) -> None:
        dataset = DATASETS.build(dataloader['dataset'])
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        if not len(dataset):
            raise ValueError('test_dataloader.dataset has no sample')
        super().__init__(runner, dict(dataloader, dataset=dataset), evaluator, fp16)
        self.cfg, self.checkpoint = dataloader, runner._load_from
        keys = ('model', 'test_dataloader', 'test_evaluator', 'test_cfg')
        self.settings = {key: copy.deepcopy(runner.cfg.get(key)) for key in keys}
        self.num_samples = len(dataset)

    def _fingerprint(self) -> str:
        """Hash of all that results depend on: version, weights, settings, samples."""
        data = {**self.settings['test_dataloader']}
        for key in ('batch_size', 'num_workers', 'persistent_workers'):
            data.pop(key, None)
        self.weights = digest_of(unwrap_model(self.runner.model))
        settings = [__version__, self.weights, {**self.settings, 'test_dataloader': data}]
        mark = hashlib.sha256(json.dumps(settings, default=str).encode())
        dataset = self.dataloader.dataset
        for index in range(len(dataset)) if hasattr(dataset, 'get_data_info') else ():
            mark.update(repr(dataset.get_data_info(index)).encode())
        return mark.hexdigest()[:16]

    def _leave_out_done(self) -> list[int]:
        """Restrict the data loader to the samples that are not done; return their indices."""
        self.folder = Path(self.runner.work_dir, 'results', self._fingerprint())
        done = {index for file in self._files() for index in _read(file)['indices']}
        barrier()  # before any process writes
        left = [index for index in range(self.num_samples) if index not in done]
        if done and left:
            rest = dict(self.cfg, dataset=Subset(self.dataloader.dataset, left))
            self.dataloader = self.runner.build_dataloader(rest, seed=self.runner.seed)
        return left

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob('[0-9]*.pt'))

    def run(self) -> dict:
        """Launch test.

        Raises:
            RuntimeError: if processes do not share the folder of results.
            ValueError: if a metric does not keep one result of each sample.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        if self.checkpoint is None:
            torch.manual_seed(self.runner.seed)  # the same in all processes
            unwrap_model(self.runner.model).init_weights()
        self.runner.model.eval()
        left = self._leave_out_done()
        start = self.num_samples - len(left)
        with tqdm(
            desc='testing', total=self.num_samples, initial=start, disable=not is_main_process()
        ) as bar:
            batches = zip(self.dataloader.batch_sampler, self.dataloader, strict=True)
            for number, (places, batch) in enumerate(batches if left else ()):
                self.run_iter(number, batch)
                self._keep([left[place] for place in places])
                bar.update(min(len(places) * get_world_size(), bar.total - bar.n))
        barrier()
        metrics = [self._evaluate() if is_main_process() else {}]
        broadcast_object_list(metrics)
        self.runner.call_hook('after_test_epoch', metrics=metrics[0])
        self.runner.call_hook('after_test')
        return metrics[0]

    def _keep(self, indices: list[int]) -> None:
        """Write the metrics' results of a batch of samples to a file."""
        results = []
        for metric in self.evaluator.metrics:
            results.append([to_plain(result) for result in metric.results])
            metric.results.clear()
            if len(results[-1]) != len(indices):
                raise ValueError(
                    f'{type(metric).__name__} keeps {len(results[-1])} results of {len(indices)} '
                    'samples; ResumableTestLoop needs one of each. Use the TestLoop with it.'
                )
        with atomic_path(self.folder / f'{indices[0]:08}_{get_rank()}.pt') as path:
            torch.save(dict(indices=indices, results=results), path)

    def _evaluate(self) -> dict:
        """Compute the metrics from all results, print the table, write ``evaluation.json``."""
        kept: list[dict[int, Any]] = [{} for _ in self.evaluator.metrics]
        for part in map(_read, self._files()):
            for by_index, of_metric in zip(kept, part['results'], strict=True):
                by_index.update(zip(part['indices'], of_metric, strict=True))
        metrics: dict[str, Any] = {}
        samples: dict[str, dict] = {}
        for metric, by_index in zip(self.evaluator.metrics, kept, strict=True):
            lacking = self.num_samples - len(by_index)
            if lacking:
                raise RuntimeError(
                    f'{self.folder} lacks {lacking} of {self.num_samples} samples: all processes '
                    'must write into one work_dir'
                )
            results: list = [by_index[index] for index in range(self.num_samples)]
            prefix = f'{metric.prefix}/' if metric.prefix else ''
            values = metric.compute_metrics(results).items()
            metrics.update({prefix + name: _number(value) for name, value in values})
            for result in results:
                if isinstance(result, dict) and 'name' in result:
                    values = result.get('values', {}).items()
                    row = {prefix + name: _number(value) for name, value in values}
                    samples.setdefault(result['name'], {}).update(row)
        print(_table(samples, metrics))
        files = Counter(os.path.dirname(name) for name in samples)
        samples = {name: values for name, values in samples.items() if values}
        self._write(dict(metrics=metrics, samples=samples, files=files))
        shutil.rmtree(self.folder)
        with suppress(OSError):  # not empty: it has results of other settings
            self.folder.parent.rmdir()
        return metrics

    def _write(self, found: dict) -> None:
        versions = dict(
            mmvidssl=__version__, mmengine=mmengine.__version__, torch=torch.__version__
        )
        found.update(
            config=self.runner.cfg.filename,
            checkpoint=self.checkpoint,
            weights_sha256=self.weights,
            settings=self.settings,
            versions=versions,
        )
        with atomic_path(Path(self.runner.work_dir, 'evaluation.json')) as path:
            path.write_text(json.dumps(found, indent=1, default=str, allow_nan=False))


def _read(path: Path) -> dict:
    try:
        return torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(
            f'{path} cannot be read; remove it to evaluate its samples again'
        ) from error


def _number(value: Any) -> float | str | None:
    """A value for JSON: a string, or a float, None if it is not finite."""
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


def _table(samples: dict[str, dict], metrics: dict) -> str:
    """Text table: a row per sample with values, unless they are many, and one of the metrics."""
    rows = {name: values for name, values in samples.items() if values}
    rows = {} if len(rows) > MAX_ROWS else rows
    columns = list(dict.fromkeys(key for row in (*rows.values(), metrics) for key in row))
    lines = [['', *columns]]
    for name, row in {**rows, f'all ({len(samples)})': metrics}.items():
        values = (row.get(column, '') for column in columns)
        lines.append([name, *(f'{v:.4f}' if isinstance(v, float) else str(v) for v in values)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([c.rjust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return '\n'.join('  '.join(line) for line in padded)
