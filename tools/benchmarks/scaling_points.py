"""The points that scaling.py measures. Each function takes the sizes of one and returns a dict:

``seconds``, ``mib`` (memory: at least 1, so that it has a logarithm) and ``work`` (its unit depends
on the function; only ratios count).
"""

import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from mmvidssl.apis import ProxySettings, make_proxy
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.utils import register_all_modules
from tools.benchmarks.decoding import make_video
from tools.benchmarks.loading_rate import measure_loading, with_videos
from tools.benchmarks.measuring import ROOT, peak_mib, reset_peak
from tools.benchmarks.training_steps import dora_cfg, optimizer_step

DATA = ROOT / 'configs/_base_/datasets'
# DeiT-Tiny with six heads of 32, so that up to six objects can be followed.
TINY = dict(embed_dims=192, num_layers=12, num_heads=6, feedforward_channels=768)

# torch counts attention on GPUs only.
ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
ON_CPU_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
ATTENTION = {
    ON_CPU: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    ON_CPU_BACKWARD: lambda out, q, k, v, *_, **__: sdpa_backward_flop_count(out, q, k, v),
}


def dora_step(
    frames: int, objects: int, local_views: int, prototypes: int, size: int, steps: int
) -> dict:
    """Median of ``steps`` steps of DoRA on one clip; the work is that of products, in FLOPs."""
    register_all_modules()
    torch.manual_seed(0)
    before = _memory_before()
    cfg = dora_cfg(Namespace(arch='deit-tiny', prototypes=prototypes))
    cfg['backbone'].update(arch=TINY, img_size=size)
    cfg['tracker'].update(num_objects=objects, heads=tuple(range(objects)))
    model = MODELS.build(cfg).train()
    clip = torch.randn(1, 3, frames, size, size)
    local_clips = [torch.randn(1, 3, frames, 112, 112) for _ in range(local_views)]
    update = optimizer_step(
        model, lambda: sum(model.loss(dict(global_clip=clip, local_clips=local_clips)).values())
    )

    def step() -> None:
        update()
        model.finish_step()
        model.update_teacher(0.004)

    seconds = [_seconds(step) for _ in range(steps + 1)][1:]  # the first one is slow
    mib = max(1.0, peak_mib() - before)
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        step()
    work = counter.get_total_flops()
    return dict(seconds=statistics.median(seconds), mib=mib, work=work)


def start_of_list(videos: int, file: str, folder: str) -> dict:
    """Build a ``VideoListDataset`` of links to a file; its first sample, with MaskFeat's recipe."""
    names = link(file, videos, Path(folder))
    (Path(folder) / 'list.txt').write_text('\n'.join(names))
    dataset = Config.fromfile(DATA / 'kinetics400_maskfeat.py').train_dataloader.dataset
    dataset.update(ann_file='list.txt', data_root=folder, data_prefix=dict(video=''))
    return _start(dataset, videos)


def start_of_long(videos: int, file: str, folder: str) -> dict:
    """The same of a ``LongVideoDataset``, which opens all of them, with DoRA's recipe."""
    names = link(file, videos, Path(folder))
    cfg = Config.fromfile(DATA / 'walking_tours_proxy.py')
    cfg = with_videos(cfg, [f'{folder}/{name}' for name in names])
    return _start(cfg.train_dataloader.dataset, videos)


def loading(workers: int, file: str, batches: int) -> dict:
    """Seconds a clip, with DoRA's recipe on a proxy, two clips a batch; memory of all workers.

    Each has a process that decodes for it, which counts. Without workers, the memory is this
    process's.
    """
    cfg = with_videos(Config.fromfile(DATA / 'walking_tours_proxy.py'), [file])
    cfg.train_dataloader.batch_size = 2
    rate = measure_loading(cfg, workers, batches)
    processes = max(workers, 1)
    mib = processes * (rate.mib_per_worker or 1.0)
    return dict(seconds=1 / rate.clips_per_second, mib=mib, work=processes)


def make_files(folder: Path, height: int) -> str:
    """Write 30 s of video, 60 frames a second, and its proxy of 4; returns the path of the latter.

    The video's path is the same without ``.proxy``.
    """
    video, proxy = folder / f'{height}.mp4', folder / f'{height}.proxy.mp4'
    if not proxy.exists():
        make_video(video, height, 0.5)
        make_proxy(video, proxy, ProxySettings(short_side=height))
    return str(proxy)


def link(file: str, number: int, folder: Path) -> list[str]:
    """Names of ``number`` links to a file that this makes in a new folder."""
    folder.mkdir()
    suffix = ''.join(Path(file).suffixes)
    names = [f'{i:05}{suffix}' for i in range(number)]
    for name in names:
        (folder / name).symlink_to(Path(file).resolve())
    return names


def _start(dataset: dict, videos: int) -> dict:
    register_all_modules()
    before = _memory_before()
    seconds = _seconds(lambda: DATASETS.build(dataset)[0])
    return dict(seconds=seconds, mib=max(1.0, peak_mib() - before), work=videos)


def _memory_before() -> float:
    reset_peak()
    return peak_mib()


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
