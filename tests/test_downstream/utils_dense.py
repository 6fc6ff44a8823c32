"""What the tests of detection, segmentation and depth share: data in the real file formats."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import cv2
import numpy as np
import torch
import yaml
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn import functional as F

from mmvidssl.engine.optimizers import fit_to_device
from mmvidssl.utils.checks import check_overrides

Size = tuple[int, int]
CONFIGS = Path(__file__).parents[2] / 'configs/downstream'
NAME = re.compile(
    r'(?P<model>[a-z-]+)_(?P<net>vit|mvit)-(?P<size>small)(-p16)?_(?P<method>dora|maskfeat)-\w+-pre_'
    r'(?P<gpus>\d+)xb(?P<batch>\d+)-amp(-ms)?-(?P<length>\d+)(?P<unit>[ek])_(?P<data>.+)'
)
SIZES = ('scale', 'scales', 'crop_size', 'stride', 'size', 'img_size', 'max_size')


def bicubic(source: Size, target: Size) -> Callable[[Tensor, Sequence[int]], Tensor]:
    """What turns positions ``(1, 1 + N, D)`` into another grid's, that of the class token aside."""

    def resize(pos_embed: Tensor, shape: Sequence[int]) -> Tensor:
        grid = pos_embed[:, 1:].reshape(1, *source, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, target, mode='bicubic', align_corners=False)
        return torch.cat((pos_embed[:, :1], grid.flatten(2).transpose(1, 2)), dim=1).view(*shape)

    return resize


def is_frozen(path: Path) -> bool:
    """Whether a config only tests, and has tests in ``test_frozen.py``."""
    return 'python tools/test.py' in path.read_text()


def configs_of(folder: str) -> dict[str, Path]:
    """Config files by their names, of those that are trained."""
    paths = sorted(CONFIGS.glob(f'{folder}/*.py'))
    return {path.stem: path for path in paths if not is_frozen(path)}


def read_config(path: Path) -> Config:
    """A config; of one's own data, with as many classes as its metafile counts weights of."""
    with TemporaryDirectory() as folder, mock.patch.dict('os.environ', DATA_ROOT=folder):
        number = 3 if 'ade20k' in path.parts else 2
        for name in range(number):
            (Path(folder, 'train') / str(name)).mkdir(parents=True)
        (Path(folder) / 'classes.txt').write_text('\n'.join(map(str, range(number))))
        return Config.fromfile(path)


def divide_sizes(node, divisor: int) -> None:
    """Make all images of a config smaller, its pipelines otherwise as they stand."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in SIZES and _is_size(value):
                node[key] = _divide(value, divisor)
            else:
                divide_sizes(value, divisor)
    elif isinstance(node, (list, tuple)):
        for value in node:
            divide_sizes(value, divisor)


def _is_size(value) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_size, value))
    return isinstance(value, int) and value > 100


def _divide(value, divisor: int):
    if isinstance(value, (list, tuple)):
        return type(value)(_divide(item, divisor) for item in value)
    return value // divisor


def replace_numbers(node, numbers: dict[int, int], keys: tuple[str, ...]) -> None:
    """Make the heads of a config narrow: numbers in entries of these names."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, (dict, list, tuple)) and not (key in keys and _is_numbers(value)):
            replace_numbers(value, numbers, keys)
        elif key in keys and value is not None:
            is_list = isinstance(value, (list, tuple))
            new = [numbers.get(item, item) for item in (value if is_list else [value])]
            node[key] = new if is_list else new[0]


def _is_numbers(value) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, int) for item in value)


def metrics_of(runner: Runner, *names: str) -> dict[str, float]:
    """The last validation's numbers."""
    return {name: runner.message_hub.get_scalar(f'val/{name}').current() for name in names}


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def noise_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def write_coco(
    root: Path, annotations: dict[str, Path], images: dict[str, Path], classes: Sequence[str]
) -> None:
    """A data set in COCO's format: four training images and two for validation, two objects each.

    Args:
        root: Its folder.
        annotations: Annotation file by ``'train'`` and ``'val'``, relative to the folder.
        images: Folder of the images, likewise.
        classes: Names; their ids are not consecutive, as those of COCO.
    """
    rng = np.random.default_rng(0)
    for part, num_images in dict(train=4, val=2).items():
        content: dict = dict(images=[], annotations=[], categories=[])
        content['categories'] = [dict(id=3 * i + 1, name=name) for i, name in enumerate(classes)]
        for image_id in range(num_images):
            name = f'{image_id:06}.jpg'
            pixels = noise_image(rng, 96, 128)
            content['images'].append(dict(id=image_id, file_name=name, height=96, width=128))
            for place in range(2):
                x, y, w, h = 10 + 60 * place, 12, 50, 70
                pixels[y : y + h, x : x + w] = 255 * place
                content['annotations'].append(
                    dict(
                        id=len(content['annotations']) + 1,
                        image_id=image_id,
                        category_id=3 * (place % len(classes)) + 1,
                        bbox=[x, y, w, h],
                        area=w * h,
                        iscrowd=0,
                        segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]],
                    )
                )
            write_image(root / images[part] / name, pixels)
        (root / annotations[part]).parent.mkdir(parents=True, exist_ok=True)
        (root / annotations[part]).write_text(json.dumps(content))


def write_masks(
    root: Path, images: str, masks: str, parts: dict[str, str], num_classes: int, first: int = 0
) -> None:
    """Images (JPEG) and masks (PNG) of the same names, four and two.

    Args:
        root: The data set's folder.
        images: Folder of the images in it, with one folder for each of ``parts`` in it.
        masks: That of the masks.
        parts: Name of the folder by ``'train'`` and ``'val'``.
        num_classes: Classes are ``first`` to ``first + num_classes - 1``.
        first: Number of the first class; 1 for ADE20K, where 0 is nothing.
    """
    rng = np.random.default_rng(0)
    for part, num_images in dict(train=4, val=2).items():
        for index in range(num_images):
            label = rng.integers(first, first + num_classes, (3, 4), np.uint8)
            label = label.repeat(32, axis=0).repeat(32, axis=1)
            write_image(root / masks / parts[part] / f'{index:04}.png', label)
            pixels = noise_image(rng, 96, 128) // 4 + label[..., None]
            write_image(root / images / parts[part] / f'{index:04}.jpg', pixels)


def write_depth(root: Path) -> None:
    """NYUv2 as mmsegmentation reads it: 480 x 640 pixels, depth in millimetres, 16 bits."""
    rng = np.random.default_rng(0)
    for part, num_images in dict(train=4, test=2).items():
        for index in range(num_images):
            name = f'kitchen_{index:05}'
            depth = np.linspace(500, 9000, 640).astype(np.uint16)[None].repeat(480, axis=0)
            depth[:100, :100] = 0  # unknown
            write_image(root / 'annotations' / part / f'{name}.png', depth)
            pixels = noise_image(rng, 480, 640)
            write_image(root / 'images' / part / f'{name}.jpg', pixels)


def header_of(path: Path) -> str:
    """The comment that a config begins with."""
    lines = path.read_text().split('\n_base_')[0]
    assert all(line.startswith('#') or not line for line in lines.splitlines())
    return lines


def check_header(path: Path) -> None:
    """It says what is known, and its command is that of the config."""
    header = header_of(path)
    for label in ('Paper:', 'Cost:', 'Measured: not measured by us.', 'Run:'):
        assert f'# {label}' in header
    folder = path.parent.relative_to(CONFIGS.parents[1])
    assert f'{folder}/{path.name}' in header
    assert path.name in (path.parent / 'README.md').read_text()


def check_name(path: Path, cfg: Config) -> None:
    """It says what is in the config."""
    name = NAME.fullmatch(path.stem)
    assert name, (
        f'{path.name}: {{model}}_{{backbone}}_{{method}}-{{data}}-pre_{{schedule}}_{{data}}'
    )
    assert cfg.train_dataloader.batch_size == int(name['batch'])
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    length, unit = int(name['length']), name['unit']
    if unit == 'e':
        assert cfg.train_cfg.max_epochs == length
    else:
        assert cfg.train_cfg.max_iters // 1000 == length
    run = cfg.train_cfg.max_epochs if unit == 'e' else cfg.train_cfg.max_iters
    assert cfg.param_scheduler[-1].get('end', run) == run
    backbone = cfg.model.get('module', cfg.model).backbone
    kind = dict(vit='mmvidssl.DINOViT', mvit='mmvidssl.ImageMViT')[name['net']]
    arch = f'deit-{name["size"]}' if name['net'] == 'vit' else name['size']
    assert (backbone.type, backbone.arch) == (kind, arch)
    assert (name['method'] in backbone.init_cfg.checkpoint) or 'own-data' in name['data']


def check_metafile(path: Path, model: nn.Module) -> None:
    """The folder's metafile lists the config, and has no results, as nothing was measured."""
    entries = yaml.safe_load((path.parent / 'metafile.yml').read_text())['Models']
    assert [entry['Name'] for entry in entries] == [
        p.stem for p in sorted(path.parent.glob('*.py'))
    ]
    (entry,) = (entry for entry in entries if entry['Name'] == path.stem)
    assert entry['Config'] == str(path.relative_to(CONFIGS.parents[1]))
    assert entry['Results'] is None
    assert entry['Metadata']['Parameters'] == sum(p.numel() for p in model.parameters())


def check_custom_keys(cfg: Config) -> None:
    """What every config here states for itself."""
    assert cfg.custom_imports.imports == ['mmvidssl']
    assert cfg.default_hooks.checkpoint.type == 'mmvidssl.PlainCheckpointHook'
    assert [hook.type for hook in cfg.custom_hooks] == [
        'mmvidssl.PretrainedReportHook',
        'mmvidssl.DataCheckHook',
        'mmvidssl.NaNGuardHook',
    ]
    check_amp_can_be_off(cfg)


def check_amp_can_be_off(cfg: Config) -> None:
    """By ``--cfg-options optim_wrapper.type=OptimWrapper`` alone, the loss scale still stated."""
    options = {'optim_wrapper.type': 'OptimWrapper'}
    check_overrides(cfg, options)
    wrapper = Config(dict(optim_wrapper=cfg.optim_wrapper.to_dict()))
    wrapper.merge_from_dict(options)
    fit_to_device(wrapper.optim_wrapper, 'cuda')
    settings = wrapper.optim_wrapper.to_dict()
    for key in ('constructor', 'paramwise_cfg', 'type', 'optimizer'):
        settings.pop(key, None)
    OptimWrapper(torch.optim.SGD([torch.zeros(1)], lr=0.1), **settings)
