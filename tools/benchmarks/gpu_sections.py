"""The sections of gpu.py. Each takes its arguments and returns figures by name."""

import argparse
import copy
import functools
import gc
import math
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from augmentation import make_clip
from measuring import peak_mib, reset_peak
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.profiler import DeviceType, profile
from torch.utils._pytree import tree_leaves
from torch.utils.data._utils.pin_memory import pin_memory
from torch.utils.flop_counter import FlopCounterMode

from mmvidssl.engine.optimizers import fit_to_device, use_mixed_precision
from mmvidssl.engine.optimizers.mixed_precision import MIXED
from mmvidssl.models.utils import FrameTokens, apply_masks, resize_mask
from mmvidssl.registry import MODELS, TRANSFORMS
from mmvidssl.utils import mmcv_ops, register_all_modules
from mmvidssl.utils.compat import strip_function_scopes
from mmvidssl.utils.setup_env import num_cores
from tests.utils_video import write_video
from tools.benchmarks.loading_rate import build_loader, measure_loading, with_videos

torch.set_float32_matmul_precision('highest')
torch.backends.cudnn.allow_tf32 = False  # float32 without TF32
FPS, NUM_FRAMES, GOP, NUM_FILES = 30, 270, 120, 16


def card(args: argparse.Namespace) -> dict:
    found = dict(torch=torch.__version__, cuda=torch.version.cuda, cores=num_cores())
    if is_cuda(args):
        properties = torch.cuda.get_device_properties(args.device)
        found.update(name=properties.name, memory_gib=properties.total_memory / 2**30)
    return dict(found, matrix_tflops={name: matrix_rate(name, args) for name in precisions(args)})


def parity(args: argparse.Namespace) -> dict:
    """Relative differences of loss and gradients; none is drawn at random on the device."""
    found = {}
    for name, cfg in load(args).items():
        cfg.model.backbone.drop_path_rate = 0.0
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        models, batch = (model, copy.deepcopy(model).to(args.device)), make_batch(cfg, args, 1)
        (here, grads), (there, others) = (gradients(one.train(), batch) for one in models)
        norms = torch.stack([grad.norm() for grad in grads.values()])
        errors = torch.stack([(others[key] - grad).norm() for key, grad in grads.items()])
        # Some gradients, such as those of the keys' biases, are nothing but rounding errors.
        relative = errors / norms.clamp(min=0.01 * norms.mean())
        found[name] = dict(
            loss=here,
            loss_difference=abs(there / here - 1),
            gradient_difference=(errors.norm() / norms.norm()).item(),
            largest_of_a_parameter={[*grads][relative.argmax()]: relative.max().item()},
        )
        if hasattr(model, 'track'):  # a patch that differs is seen in loss and gradients
            clips = [one.data_preprocessor(batch)['inputs']['global_clip'] for one in models]
            masks = [one.track(clip).masks for one, clip in zip(models, clips, strict=True)]
            found[name]['share_of_tracked_patches_that_differ'] = share_that_differs(*masks)
    return found


def gradients(model: nn.Module, batch: dict) -> tuple[float, dict[str, Tensor]]:
    loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
    loss.backward()
    parameters = model.named_parameters()
    return loss.item(), {name: p.grad.cpu() for name, p in parameters if p.grad is not None}


def share_that_differs(here: Tensor, there: Tensor) -> float:
    return (here.cpu() != there.cpu()).float().mean().item()


def precision(args: argparse.Namespace) -> dict:
    """Losses of a few steps in each precision, and their distance to those in float32."""
    found: dict[str, dict] = {}
    for name, cfg in load(args).items():
        cfg.optim_wrapper.optimizer.lr *= 0.1  # there is no warm-up here
        losses: dict[str, list[float]] = {}
        found[name] = dict(losses=losses)
        for dtype in precisions(args):
            trainer = Trainer(cfg, args, dtype, min(4, cfg.train_dataloader.batch_size))
            losses[dtype] = [trainer.step().item() for _ in range(2 if args.small else 8)]
            are_finite = [p.isfinite().all() for p in trainer.model.parameters()]
            if not (all(map(math.isfinite, losses[dtype])) and all(are_finite)):
                raise FloatingPointError(f'{name} in {dtype}: losses {losses[dtype]}')
            pairs = zip(losses[dtype], losses['float32'], strict=True)
            found[name][f'{dtype}_difference'] = max(abs(a / b - 1) for a, b in pairs)
            if scaler := getattr(trainer.optim_wrapper, 'loss_scaler', None):
                found[name][f'{dtype}_loss_scale'] = scaler.get_scale()
    return found


def hog(args: argparse.Namespace) -> dict:
    generator = MODELS.build(dict(type='mmvidssl.HOGGenerator'))
    pixels = torch.from_numpy(make_clip('video', 16, (224, 224))).permute(3, 0, 1, 2)
    clip = ((pixels - 114.75) / 57.375).expand(1 if args.small else 8, -1, -1, -1, -1)
    there = clip.to(args.device)
    difference = (generator(there).cpu() - generator(clip)).abs()
    return dict(
        largest_difference=difference.max().item(),
        share_above_1e_4=(difference > 1e-4).float().mean().item(),
        milliseconds_a_clip=1e3 * seconds(lambda: generator(there), args) / len(clip),
    )


def masks(args: argparse.Namespace) -> dict:
    device, rng = args.device, np.random.default_rng(0)
    for name in ('CubeMask', 'TubeMask', 'FrameMask'):
        cells = torch.from_numpy(TRANSFORMS.build(dict(type=f'mmvidssl.{name}')).draw(rng))[None]
        grid = [2 * side for side in cells.shape[1:]]
        if not torch.equal(resize_mask(cells.to(device), grid).cpu(), resize_mask(cells, grid)):
            raise AssertionError(f'{name}: resized on {device} it is another one')
    frames, clips, heads, side, dims = 8, 4, 6, 14, 64
    torch.manual_seed(0)
    tokens = dict(
        class_token=torch.randn(frames, clips, heads * dims),
        patches=torch.randn(clips, side**2, heads * dims),
        class_attention=torch.randn(clips, heads, side**2).softmax(dim=-1),
        query=torch.randn(clips, heads, 1 + side**2, dims),
        key=torch.randn(frames, clips, heads, 1 + side**2, dims),
    )
    there = FrameTokens(**{k: v.to(device) for k, v in tokens.items()}, grid=(side, side))
    tracker = MODELS.build(dict(type='mmvidssl.MultiObjectTracker')).eval()
    track, found = tracker(FrameTokens(**tokens, grid=(side, side))), tracker.to(device)(there)
    given = torch.randn(clips, 3, frames, 16 * side, 16 * side), track.masks
    moved = [tensor.to(device) for tensor in given]
    if not torch.equal(apply_masks(*moved).cpu(), apply_masks(*given)):
        raise AssertionError(f'apply_masks: another result on {device}')
    sinkhorn = (found.assignment.cpu() - track.assignment).abs().max()
    return dict(
        share_of_tracked_patches_that_differ=share_that_differs(found.masks, track.masks),
        largest_difference_of_sinkhorn=sinkhorn.item(),
        tracker_milliseconds=1e3 * seconds(lambda: tracker(there), args),
        apply_milliseconds=1e3 * seconds(lambda: apply_masks(*moved), args),
    )


def roi_align(args: argparse.Namespace) -> dict:
    """mmcv's RoIAlign as torchvision computes it, forward and backward."""
    torch.manual_seed(0)
    maps, corner = torch.randn(2, 64, 50, 68), torch.rand(128, 2) * 500
    image = torch.arange(128)[:, None] % 2
    given = maps, torch.cat((image, corner, corner + 20 + torch.rand(128, 2) * 200), dim=1)
    options = dict(aligned_height=7, aligned_width=7, spatial_scale=1 / 16)
    options.update(sampling_ratio=0, pool_mode=1, aligned=True)

    def both(maps: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        out, grads = maps.new_zeros(128, 64, 7, 7), torch.zeros_like(maps)
        mmcv_ops.roi_align_forward(maps, rois, out, None, None, **options)
        mmcv_ops.roi_align_backward(out, rois, None, None, grads, **options)
        return out, grads

    moved = [tensor.to(args.device) for tensor in given]
    pairs = zip(both(*moved), both(*given), strict=True)
    forward, backward = ((a.cpu() - b).abs().max().item() for a, b in pairs)
    return dict(
        largest_difference=forward,
        largest_difference_of_gradients=backward,
        milliseconds=1e3 * seconds(lambda: both(*moved), args),
    )


def speed(args: argparse.Namespace) -> dict:
    return {
        name: {dtype: halved(measure_step, cfg, args, dtype) for dtype in precisions(args)[1:]}
        for name, cfg in load(args).items()
    }


def halved(measure: Callable[..., dict], cfg: Config, *args: Any) -> dict:
    """``measure(cfg, *args, batch_size)``, with half the size until the device has the memory."""
    size = cfg.train_dataloader.batch_size
    while True:
        try:
            return dict(batch_size=size, **measure(cfg, *args, size))
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        size //= 2  # out here the error, and the tensors of its traceback, are gone
        gc.collect()
        torch.cuda.empty_cache()


def measure_step(cfg: Config, args: argparse.Namespace, dtype: str, batch_size: int) -> dict:
    torch.cuda.reset_peak_memory_stats() if is_cuda(args) else reset_peak()
    trainer = Trainer(cfg, args, dtype, batch_size)
    took = seconds(trainer.step, args)
    peak = torch.cuda.max_memory_allocated() / 2**30 if is_cuda(args) else peak_mib() / 2**10
    backward = {torch.ops.aten.convolution_backward: convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=backward) as counter:
        trainer.step()
    rate = counter.get_total_flops() / took / 1e12
    copy_and_normalise = functools.partial(trainer.model.data_preprocessor, trainer.batch, True)
    return dict(
        step_milliseconds=1e3 * took,
        clips_per_second=batch_size / took,
        peak_gib=peak,
        tflops=rate,
        share_of_matrix_rate=rate / matrix_rate(dtype, args),
        megabytes_per_second=sum(v.nbytes for v in tree_leaves(trainer.batch['inputs']))
        / took
        / 1e6,
        copy_milliseconds=1e3 * seconds(copy_and_normalise, args),
        longest_operators=longest(trainer.step, args),
        waits_for_device=waits(trainer.step) if is_cuda(args) else {},
    )


def convolution_backward_flops(out: list, clip: list, weight: list, *args, **kwargs) -> int:
    """As many for each gradient as forwards; torch's own count takes no account of groups."""
    return 2 * math.prod(out) * math.prod(weight[1:]) * sum(args[7][:2])  # input's, weight's


def longest(step: Callable[[], Any], args: argparse.Namespace) -> dict[str, float]:
    """The operators that take longest, and their share of the time of all, the device's if any."""
    with profile() as record:
        step()
    key = 'self_device_time_total' if is_cuda(args) else 'self_cpu_time_total'
    events = [event for event in record.key_averages() if event.device_type == DeviceType.CPU]
    total = sum(getattr(event, key) for event in events) or 1  # 0 where it may not be profiled
    times = {event.key: getattr(event, key) / total for event in events}
    return dict(Counter(times).most_common(12))


def waits(step: Callable[[], Any]) -> dict[str, int]:
    """Lines at which the host waits for the device in a step, and how often."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    lines = [w for w in caught if 'called a synchronizing' in str(w.message)]
    return dict(Counter(f'{"/".join(Path(w.filename).parts[-2:])}:{w.lineno}' for w in lines))


def data(args: argparse.Namespace) -> dict:
    """Clips per second of one worker, from H.264 of 480 x 848 at 30 frames a second."""
    found = {}
    for name, cfg in load(args, size=(64, 96) if args.small else (480, 848)).items():
        cfg.train_dataloader.batch_size = 1
        rate = measure_loading(cfg, num_workers=0 if args.small else 1, num_batches=10)
        found[name] = dict(clips_per_second_and_worker=rate.clips_per_second)
    return found


def compile(args: argparse.Namespace) -> dict:
    """Steps before and after ``torch.compile``, as MMEngine's option ``compile`` does it."""
    found = {}
    for name, cfg in list(load(args).items())[: 1 if args.small else None]:
        try:
            found[name] = halved(measure_compiled, cfg, args)
        except Exception as error:  # a compiler's failure is no failure of training
            found[name] = dict(not_compiled=f'{type(error).__name__}: {error}'[:1000])
    return found


def measure_compiled(cfg: Config, args: argparse.Namespace, batch_size: int) -> dict:
    trainer = Trainer(cfg, args, precisions(args)[1], batch_size)
    eager = seconds(trainer.step, args)
    trainer.model.forward = torch.compile(trainer.model.forward, backend=args.backend)
    started = time.perf_counter()
    trainer.step().item()
    first = time.perf_counter() - started
    found = dict(eager_milliseconds=1e3 * eager, first_seconds=first)
    return dict(found, compiled_milliseconds=1e3 * seconds(trainer.step, args))


class Trainer:
    """A config's model, optimizer and a batch of its pipeline's output."""

    def __init__(self, cfg: Config, args: argparse.Namespace, dtype: str, batch_size: int) -> None:
        optim, kind = copy.deepcopy(cfg.optim_wrapper), torch.device(args.device).type
        if dtype == 'float32':
            full = {scaled: name for name, (scaled, _) in MIXED.items()}
            optim.type = full.get(optim.type, optim.type)
            fit_to_device(optim, kind)
        else:
            use_mixed_precision(optim, kind)
            optim.update(dict(dtype=dtype) if is_cuda(args) else {})
        torch.backends.cudnn.benchmark = cfg.env_cfg.cudnn_benchmark
        torch.manual_seed(0)
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        self.model.to(args.device).train()
        self.optim_wrapper = build_optim_wrapper(self.model, optim)
        self.batch = make_batch(cfg, args, batch_size)

    def step(self) -> Tensor:
        """One iteration, with what hooks do after it; gives the loss."""
        losses = self.model.train_step(self.batch, self.optim_wrapper)
        self.model.finish_step()
        if getattr(self.model, 'has_moving_teacher', hasattr(self.model, 'update_teacher')):
            self.model.update_teacher(0.004)
        return losses['loss']


def load(args: argparse.Namespace, size: tuple[int, int] = (64, 96)) -> dict[str, Config]:
    """The configs by name, with generated videos of frames ``(height, width)`` as their data."""
    register_all_modules()
    MMLogger.get_current_instance().setLevel('WARNING')  # not how each parameter is initialised
    found, folder = {}, videos(size).name
    for file in args.configs:
        cfg = Config.fromfile(file)
        strip_function_scopes(cfg)
        if cfg.train_dataloader.dataset.type == 'VideoListDataset':
            where = dict(ann_file='', data_root=folder, data_prefix=dict(video=''))
            cfg.train_dataloader.dataset.update(where)
        else:
            cfg = with_videos(cfg, [f'{folder}/0.mp4'])
        if args.small:
            cfg.train_dataloader.batch_size = 2
        found[Path(file).stem] = cfg
    return found


@functools.cache
def videos(size: tuple[int, int]) -> tempfile.TemporaryDirectory:
    """A folder of equal videos; it is gone with the process."""
    folder = tempfile.TemporaryDirectory()
    frames, first = make_clip('video', NUM_FRAMES, size), Path(folder.name, '0.mp4')
    write_video(first, NUM_FRAMES, size, FPS, gop=GOP, draw=lambda number, _: frames[number])
    for number in range(1, NUM_FILES):
        first.with_name(f'{number}.mp4').hardlink_to(first)
    return folder


def make_batch(cfg: Config, args: argparse.Namespace, batch_size: int) -> dict:
    """Two items of the pipeline, repeated, collated and pinned as the data loader does it."""
    loader = build_loader(cfg, num_workers=0)
    items = [loader.dataset[index] for index in range(2)]
    batch = loader.collate_fn([items[index % 2] for index in range(batch_size)])
    return pin_memory(batch) if is_cuda(args) else batch


def is_cuda(args: argparse.Namespace) -> bool:
    return torch.device(args.device).type == 'cuda'


def precisions(args: argparse.Namespace) -> list[str]:
    """What MMEngine trains in; the second is that of the shipped configs."""
    if not is_cuda(args):
        return ['float32', 'bfloat16']
    return ['float32', 'float16'] + ['bfloat16'] * torch.cuda.is_bf16_supported()


def seconds(function: Callable[[], Any], args: argparse.Namespace) -> float:
    """Mean time of a call; the device is waited for before the first and after the last one."""
    num_first, num_calls = (1, 1) if args.small else (3, 10)
    wait = torch.get_device_module(torch.device(args.device)).synchronize
    for _ in range(num_first):
        function()
    wait()
    started = time.perf_counter()
    for _ in range(num_calls):
        function()
    wait()
    return (time.perf_counter() - started) / num_calls


def matrix_rate(dtype: str, args: argparse.Namespace) -> float:
    """TFLOP/s of a large matrix product."""
    side = 8192 if is_cuda(args) else 256
    one, other = torch.randn(2, side, side, device=args.device, dtype=getattr(torch, dtype))
    out = torch.empty_like(one)
    return 2 * side**3 / seconds(lambda: torch.mm(one, other, out=out), args) / 1e12
