"""One seed of the experiment: pretrain, compare losses, probe, fine-tune."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import set_random_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmvidssl.apis import init_model
from mmvidssl.apis.quickstart import QuietRunner
from mmvidssl.datasets import ClipSampler
from mmvidssl.datasets.transforms import build_transforms
from mmvidssl.evaluation import select_linear_probe
from mmvidssl.models.utils import resize_mask, stack_masks
from mmvidssl.registry import MODELS

from .finetuning import ClipClassifier, FineTuning, finetune
from .in_memory import ClipsInMemory, LabelledClips, Splits

EVAL_BATCH = 128
NUM_FOR_MEAN = 1000
MAX_PROBE_DIMS = 8192  # with many labels
STARTS = ('pretrained', 'random')


def run_seed(cfg: Config, splits: Splits, seed: int, work_dir: Path) -> dict[str, float]:
    """All numbers of one seed by name; losses, shares, and seconds."""
    set_random_seed(seed)
    start = init_model(cfg)  # random weights, from which both start
    clock = _Clock()
    model = pretrain(cfg, splits, seed, work_dir, start)
    numbers = {'processor time/pretraining': clock.lap()}
    numbers |= compare_losses(model, cfg, splits, seed)
    backbones = dict(pretrained=model.backbone, random=start.backbone)
    numbers |= probe(model, backbones, splits)
    numbers['processor time/probing'] = clock.lap()
    for name in STARTS:
        numbers |= finetune_grid(name, backbones[name], model.data_preprocessor, cfg, splits, seed)
    numbers['processor time/fine-tuning'] = clock.lap()
    return numbers


class _Clock:
    """Processor time of all threads, which other programs change less than the wall clock's."""

    def __init__(self) -> None:
        self.last = time.process_time()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.last = self.last, time.process_time()
        return self.last - before


def pretrain(cfg: Config, splits: Splits, seed: int, work_dir: Path, start: nn.Module) -> nn.Module:
    """MaskFeat by MMEngine's runner, from the weights of ``start``; in evaluation mode."""
    dataset = ClipsInMemory(splits.unlabelled, cfg.train_pipeline, seed)
    loader = DataLoader(
        dataset,
        batch_size=cfg.batch_size,
        sampler=ClipSampler(dataset, seed=seed),
        collate_fn=pseudo_collate,
        drop_last=True,
    )
    runner = QuietRunner(
        model=cfg.model.to_dict(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=cfg.train_cfg,
        optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.param_scheduler,
        default_hooks=cfg.default_hooks,
        custom_hooks=cfg.custom_hooks,
        log_processor=cfg.log_processor,
        randomness=dict(seed=seed),
        default_scope='mmvidssl',
        experiment_name=f'{work_dir.name}_{time.time_ns()}',  # loggers are kept by this name
        cfg=cfg,
    )
    runner.model.init_weights()  # done here, it is not done again
    runner.model.load_state_dict(start.state_dict())
    runner.train()
    return runner.model.eval()


@torch.no_grad()
def compare_losses(model: nn.Module, cfg: Config, splits: Splits, seed: int) -> dict[str, float]:
    """Squared error in masked tokens of test clips: of the model, and of a constant.

    The constant is the mean target of clips pretrained on (of the first ``NUM_FOR_MEAN``), for each
    dimension of a target: the best that can be said without looking.
    """
    clips = splits.unlabelled[:NUM_FOR_MEAN]
    mean = _apply(model.target_generator, model.data_preprocessor, clips).mean(dim=(0, 1))
    mask_only = [step for step in cfg.train_pipeline if step['type'].endswith('Mask')]
    dataset = ClipsInMemory(splits.test.clips, [*mask_only, dict(type='PackClipInputs')], seed)
    loader = DataLoader(
        dataset, EVAL_BATCH, sampler=ClipSampler(dataset, False, seed), collate_fn=pseudo_collate
    )
    errors, constant_errors, count = 0.0, 0.0, 0
    for batch in loader:
        batch = model.data_preprocessor(batch)
        clip, mask = batch['inputs']['clip'], stack_masks(batch['data_samples'])
        pred, grid = model.predict(clip, mask)
        masked = resize_mask(mask, grid).flatten(1)
        target = model.target_generator(clip)[masked]
        errors += F.mse_loss(pred[masked], target, reduction='sum').item()
        constant_errors += F.mse_loss(mean.expand_as(target), target, reduction='sum').item()
        count += target.numel()
    return {'loss/model': errors / count, 'loss/mean target': constant_errors / count}


def to_inputs(preprocessor: nn.Module, clips: np.ndarray) -> Tensor:
    """Clips ``(B, T, H, W, 3)`` uint8 as the model sees them, ``(B, C, T, H, W)``."""
    tensor = torch.from_numpy(clips).permute(0, 4, 1, 2, 3).contiguous()
    return preprocessor(dict(inputs=dict(clip=tensor)))['inputs']['clip']


@torch.no_grad()
def _apply(function: Callable, preprocessor: nn.Module, clips: np.ndarray) -> Tensor:
    """``function`` of the inputs made of ``(N, T, H, W, 3)`` clips, a batch at a time."""
    starts = range(0, len(clips), EVAL_BATCH)
    batches = (clips[start : start + EVAL_BATCH] for start in starts)
    return torch.cat([function(to_inputs(preprocessor, batch)) for batch in batches])


def probe(model: nn.Module, backbones: dict, splits: Splits) -> dict[str, float]:
    """Linear accuracy on test clips of frozen features, with few and with many labels."""

    def mean_tokens(backbone: nn.Module):
        return lambda x: backbone.forward_tokens(x).tokens.mean(dim=1)

    functions = {name: mean_tokens(backbone) for name, backbone in backbones.items()}
    functions['HOG of all patches'] = lambda x: model.target_generator(x).flatten(1)
    functions['pixels'] = lambda x: x.flatten(1)
    numbers = {}
    for name, function in functions.items():
        few, many, val, test = (
            (_apply(function, model.data_preprocessor, part.clips), part.labels)
            for part in (splits.few, splits.many, splits.val, splits.test)
        )
        for labels, train in (('few', few), ('many', many)):
            if labels == 'many' and train[0].shape[1] > MAX_PROBE_DIMS:
                continue
            best = select_linear_probe(train, val, splits.num_classes)
            numbers[f'probe, {labels} labels/{name}'] = best.accuracy(*test)
    return numbers


def finetune_grid(
    name: str, backbone: nn.Module, preprocessor: nn.Module, cfg: Config, splits: Splits, seed: int
) -> dict[str, float]:
    """Fine-tune with every learning rate of the grid; test the best on validation clips."""
    pipeline = Compose(build_transforms(cfg.finetuning_pipeline))

    def augment(clips: np.ndarray, rng: np.random.Generator) -> Tensor:
        changed = [pipeline(dict(clip=clip, rng=rng))['clip'] for clip in clips]
        return to_inputs(preprocessor, np.stack(changed))

    results = []
    for lr in cfg.grid.lr:
        set_random_seed(seed)
        fresh = MODELS.build(dict(cfg.model.backbone, **cfg.finetuning_backbone))
        fresh.load_state_dict(backbone.state_dict())
        classifier = ClipClassifier(fresh, splits.num_classes)
        recipe = FineTuning(**cfg.finetuning, lr=lr)
        finetune(classifier, *splits.few, recipe, augment, np.random.default_rng([seed, 1]))
        val = _accuracy(classifier, preprocessor, splits.val)
        results.append((val, classifier, lr))
    _, best, lr = max(results, key=lambda result: result[0])
    key = f'fine-tuning/{name}'
    return {key: _accuracy(best, preprocessor, splits.test), f'{key}, lr': lr}


def _accuracy(classifier: nn.Module, preprocessor: nn.Module, part: LabelledClips) -> float:
    logits = _apply(classifier, preprocessor, part.clips)
    return (logits.argmax(dim=1) == part.labels).double().mean().item()
