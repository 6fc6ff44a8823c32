"""The names of torch.hub."""

import importlib.util
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModule

ROOT = Path(__file__).parents[1]


def test_torch_hub_builds_and_loads(tmp_path):
    def load(name, **options):
        return torch.hub.load(str(ROOT), name, source='local', **options)

    model = load('dino_vit_tiny_p16', img_size=64)
    torch.save(dict(state_dict=model.state_dict(prefix='backbone.')), tmp_path / 'tiny.pth')
    again = load('dino_vit_tiny_p16', checkpoint=str(tmp_path / 'tiny.pth'), img_size=64)
    frame = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(frame), model(frame))
    both = {f'teacher.backbone.{k}': v for k, v in model.state_dict().items()}
    both |= {f'backbone.{k}': v + 1 for k, v in model.state_dict().items()}
    torch.save(both, tmp_path / 'both.pth')
    for role, offset in dict(teacher=0, student=1).items():
        options = dict(checkpoint=str(tmp_path / 'both.pth'), img_size=64, role=role)
        assert torch.equal(load('dino_vit_tiny_p16', **options).cls_token, model.cls_token + offset)
    with pytest.raises(ValueError, match='tiny.pth does not cover the DINOViT'):
        load('dino_vit_small_p16', checkpoint=str(tmp_path / 'tiny.pth'))


SMALL_VIT = dict(embed_dims=24, num_layers=2, num_heads=4, feedforward_channels=48)
SMALL_MVIT = dict(embed_dims=8, num_layers=4, num_heads=1, downscale_indices=[1, 2])
IMAGE, CLIP = (1, 3, 224, 224), (1, 3, 16, 224, 224)
HUB = {
    'dino_vit_tiny_p16': (SMALL_VIT, IMAGE, (1, 192)),
    'dino_vit_small_p16': (SMALL_VIT, IMAGE, (1, 384)),
    'dino_vit_base_p16': (SMALL_VIT, IMAGE, (1, 768)),
    'maskfeat_vit_base_p16': (SMALL_VIT, IMAGE, (1, 197, 768)),
    'maskfeat_vit_large_p16': (SMALL_VIT, IMAGE, (1, 197, 1024)),
    'maskfeat_mvit_small': (SMALL_MVIT, CLIP, (1, 768)),
    'maskfeat_mvit_large': (SMALL_MVIT, CLIP, (1, 1152)),
}


def last_output(model, pixels):
    (out,) = model(pixels)
    return out if torch.is_tensor(out) else out[-1]


@pytest.mark.parametrize('name', HUB)
def test_every_hub_name_gives_a_backbone_in_evaluation_mode(name, tmp_path):
    arch, size, _ = HUB[name]
    sizes = dict(img_size=32) if 'mvit' not in name else dict(spatial_size=32, temporal_size=4)
    options = dict(source='local', arch=arch, **sizes)
    torch.manual_seed(0)
    model = torch.hub.load(str(ROOT), name, **options)
    torch.save(dict(state_dict=model.state_dict(prefix='backbone.')), tmp_path / 'file.pth')
    again = torch.hub.load(str(ROOT), name, checkpoint=str(tmp_path / 'file.pth'), **options)
    assert not model.training and not again.training
    pixels = torch.randn(*((1, 3, 32, 32) if len(size) == 4 else (1, 3, 4, 32, 32)))
    with torch.no_grad():
        assert torch.equal(last_output(model, pixels), last_output(again, pixels))


@pytest.mark.parametrize('name', HUB)
def test_hub_names_are_of_the_sizes_they_say(name, monkeypatch):
    """At full size, without memory, where MMEngine cannot tell means of what it initialises."""
    _, size, expected = HUB[name]
    monkeypatch.setattr(BaseModule, 'init_weights', lambda self: None)
    with torch.device('meta'), torch.no_grad():
        model = torch.hub.load(str(ROOT), name, source='local')
        assert last_output(model, torch.empty(size)).shape == expected


@pytest.mark.parametrize('name', HUB)
def test_hub_without_mmaction(name, monkeypatch):
    """ViTs are there, of MViTs it is said what is missing."""
    listed = runpy.run_path(str(ROOT / 'hubconf.py'))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'mmaction' else find(name)
    )
    if 'mvit' in name:
        with pytest.raises(ImportError, match='mmaction2, which is not installed'):
            listed[name]()
    else:
        assert not listed[name](arch=HUB[name][0], img_size=32).training


def test_hub_names_are_all_tested():
    listed = runpy.run_path(str(ROOT / 'hubconf.py'))
    assert {n for n, f in listed.items() if callable(f) and not n.startswith('_')} == set(HUB)
