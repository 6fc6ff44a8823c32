"""DINO and DoRA from the same weights for as much processor time, beside random weights."""

import json
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import set_random_seed

from mmvidssl.apis import init_model
from mmvidssl.apis.quickstart import QuietRunner, set_max_iters
from mmvidssl.apis.quickstart.footage import prepare_footage
from mmvidssl.apis.quickstart.short_run import measure_step_time
from mmvidssl.datasets.readers import PROXY_SUFFIX, manifest_path
from mmvidssl.utils import register_all_modules
from mmvidssl.utils.atomic_file import atomic_path

from .protocols import Data, protocols_for
from .report import RANDOM, training_folder, write_report

CONFIGS = Path(__file__).parent / 'configs'
METHODS = ('dino', 'dora')
SECONDS_OF_A_VIDEO = 600.0
ROUNDS = 3  # of measuring a step


class Experiment:
    """Trains and evaluates what is not yet in a folder; several processes may share it.

    Args:
        videos: Footage to train on; of a long one the first ten minutes.
        data: What to evaluate on.
        out: The folder.
        threads: Of torch.
        options: Changes to both configs, by dotted key.

    Raises:
        ValueError: If the folder has results of other settings.
        FileNotFoundError, VideoError: If data or a video are missing; names it.
    """

    def __init__(
        self, videos: Sequence[str], data: Data, out: Path, threads: int, options: dict
    ) -> None:
        for file in data.needs():
            if not file.exists():
                raise FileNotFoundError(f'no such file or folder: {file}')
        register_all_modules()
        torch.set_num_threads(threads)
        self.out, self.data = out, data
        self.cfgs = {name: Config.fromfile(CONFIGS / f'{name}.py') for name in METHODS}
        for cfg in self.cfgs.values():
            cfg.merge_from_dict(options)
        settings = dict(videos=videos, data=data._asdict(), threads=threads)
        settings |= {name: cfg.to_dict() for name, cfg in self.cfgs.items()}
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / '.lock'):
            settings = json.loads(json.dumps(settings, default=str))
            self._check_settings(settings)
            footage = self._prepare(videos)
            write_json(out / 'settings.json', settings)  # of data that are there
            for cfg in self.cfgs.values():
                cfg.train_dataloader.dataset.videos = footage
            self.step_seconds = self._measure_steps()

    def _check_settings(self, settings: dict) -> None:
        file = self.out / 'settings.json'
        known = read_json(file) if file.exists() else settings
        differing = [key for key, value in settings.items() if known.get(key) != value]
        if differing:
            raise ValueError(
                f'{self.out} has results of other settings ({", ".join(differing)} differ, see '
                f'{file}); give another --out'
            )

    def _prepare(self, videos: Sequence[str]) -> list[str]:
        """Proxies of the videos, made once."""
        paths = []
        for number, video in enumerate(map(Path, videos)):
            folder = self.out / 'footage' / str(number)
            proxy = folder / f'{video.stem}{PROXY_SUFFIX}'
            if not manifest_path(proxy).exists():  # which is written last
                prepare_footage(video, folder, SECONDS_OF_A_VIDEO)
            paths.append(str(proxy.absolute()))
        return paths

    def _measure_steps(self) -> dict[str, float]:
        """Processor seconds of an iteration of each method, measured once, in turns."""
        file = self.out / 'steps.json'
        if not file.exists():
            seconds: dict[str, list[float]] = {name: [] for name in METHODS}
            for _ in range(ROUNDS):
                for name, cfg in self.cfgs.items():
                    seconds[name].append(measure_step_time(cfg, time.process_time))
            write_json(file, {name: statistics.median(some) for name, some in seconds.items()})
        return read_json(file)

    def run(self, seeds: Sequence[int], budgets: Sequence[float]) -> str:
        """All of some seeds; ``budgets`` are minutes of processor time. Returns the table."""
        runs = [(seed, RANDOM, 0.0) for seed in seeds]
        runs += [(s, method, budget) for budget in budgets for s in seeds for method in METHODS]
        for timeout in (0, -1):  # first what no other process does, then what it has left
            for run in runs:
                folder = training_folder(self.out, *run)
                folder.mkdir(parents=True, exist_ok=True)
                with suppress(Timeout), FileLock(folder / '.lock', timeout=timeout):
                    self._run_one(folder, *run)
        return write_report(self.out, protocols_for(self.data))

    def _run_one(self, folder: Path, seed: int, method: str, budget: float) -> None:
        checkpoint = self._start(seed)
        if method != RANDOM:
            checkpoint = self._train(folder, method, seed, budget, checkpoint)
        self._evaluate(folder, checkpoint)
        write_report(self.out, protocols_for(self.data))

    def _start(self, seed: int) -> Path:
        """The file of the weights from which all of a seed start, student's and teacher's."""
        path = training_folder(self.out, seed, RANDOM, 0) / 'start.pth'
        if not path.exists():
            set_random_seed(seed)
            with atomic_path(path) as temporary:
                torch.save(dict(state_dict=init_model(self.cfgs['dora']).state_dict()), temporary)
        return path

    def _train(self, folder: Path, method: str, seed: int, budget: float, start: Path) -> Path:
        """Train, or go on, and return the checkpoint."""
        file = folder / 'training.json'
        if not file.exists():
            cfg = self.cfgs[method].copy()
            max_iters = max(1, round(60 * budget / self.step_seconds[method]))
            set_max_iters(cfg, max_iters)
            cfg.default_hooks.pop('progress', None)
            cfg.update(randomness=dict(seed=seed), resume=True)
            print(f'{folder}: {max_iters} iterations, about {budget:g} minutes', flush=True)
            runner = build_runner(cfg, folder)
            runner.model.init_weights()  # done here, it is not done again
            weights = torch.load(start, weights_only=True)['state_dict']
            own = runner.model.state_dict()  # DINO's, less DoRA's count of draws
            runner.model.load_state_dict({name: weights[name] for name in own})
            clock = _Clock()
            runner.register_hook(clock, priority='LOWEST')
            runner.train()
            write_json(file, dict(iterations=max_iters, minutes=clock.minutes(max_iters)))
        return Path((folder / 'last_checkpoint').read_text().strip())

    def _evaluate(self, folder: Path, checkpoint: Path) -> None:
        """By each protocol whose result is not there."""
        for name, protocol in protocols_for(self.data).items():
            file = folder / f'{name}.json'
            if file.exists():
                continue
            cfg = protocol.build(self.data, self.cfgs['dora'].model.backbone)
            cfg.load_from = str(checkpoint)
            started = time.process_time()
            metrics = build_runner(cfg, folder / name).test()
            seconds = time.process_time() - started
            value = protocol.factor * metrics[protocol.metric]
            write_json(file, dict(value=value, metrics=metrics, processor_seconds=seconds))
            print(f'{folder}: {protocol.name} {value:.1f} ({seconds:.0f} s)', flush=True)


class _Clock(Hook):
    """Processor time of a run; of a resumed one, of the part since then, for all of it."""

    def before_train(self, runner) -> None:
        self.first, self.started = runner.iter, time.process_time()

    def minutes(self, max_iters: int) -> float | None:
        seconds, done = time.process_time() - self.started, max_iters - self.first
        return seconds / done * max_iters / 60 if done else None


def build_runner(cfg: Config, work_dir: Path) -> QuietRunner:
    """A runner with a name of its own, by which MMEngine keeps loggers."""
    cfg.update(work_dir=str(work_dir), experiment_name=f'{work_dir.name}_{time.time_ns()}')
    return QuietRunner.from_cfg(cfg)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def write_json(path: Path, content: Any) -> None:
    """Whole, or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + '\n')
