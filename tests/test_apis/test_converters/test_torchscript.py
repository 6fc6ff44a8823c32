"""Backbones as one file."""

import json
import sys

import numpy as np
import pytest
import torch

from mmvidssl.apis import export_backbone, extract_features
from mmvidssl.apis.converters import torchscript
from tests.utils_export import build, maskfeat_vit_cfg
from tests.utils_model import dora_cfg, maskfeat_cfg


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)


def load(path):
    """As whoever has but the file reads it; gives what maps pixels to features, and the notes."""
    files = {'mmvidssl.json': ''}
    if path.suffix == '.ts':
        return torch.jit.load(str(path), _extra_files=files), files
    if path.suffix == '.pt2':
        return torch.export.load(str(path), extra_files=files).module(), files
    runtime = pytest.importorskip('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (pixels,), (features,) = session.get_inputs(), session.get_outputs()
    assert (pixels.name, features.name) == ('pixels', 'features')
    files = session.get_modelmeta().custom_metadata_map
    return lambda batch: torch.from_numpy(session.run(None, dict(pixels=batch.numpy()))[0]), files


@pytest.mark.parametrize('suffix', ['.ts', '.pt2', '.onnx'])
@pytest.mark.parametrize('method', ['maskfeat', 'dora', 'maskfeat_vit'])
def test_exported_backbone_gives_the_features(method, suffix, frames, tmp_path):
    if suffix == '.onnx':
        pytest.importorskip('onnxscript', reason='ONNX needs packages that nothing else here does')
    cfg = dict(dora=dora_cfg, maskfeat=maskfeat_cfg, maskfeat_vit=maskfeat_vit_cfg)[method]()
    if method == 'maskfeat':
        cfg['backbone']['arch']['num_layers'] = (
            2  # one that pools its queries, and one that does not
        )
    model = build(cfg)
    done = export_backbone(model, tmp_path / f'backbone{suffix}', layers=[-2, -1])
    assert done.difference < 1e-5
    frames = np.concatenate([frames] * 4)  # 12 frames, or 3 clips of 4
    expected = extract_features(model, frames, layers=[-2, -1])
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2).float()
    pixels = pixels.unflatten(1, (3, 4)) if method == 'maskfeat' else pixels
    module, files = load(done.path)
    torch.testing.assert_close(module(pixels.transpose(0, 1)), expected, atol=1e-5, rtol=1e-4)
    meta = json.loads(files['mmvidssl.json'])
    assert meta == done.meta and meta['output_shape'] == [-1, expected.shape[1]]
    assert meta['input_shape'] == ([-1, 3, 4, 32, 32] if method == 'maskfeat' else [-1, 3, 32, 32])


def test_exported_backbone_of_another_size(tmp_path):
    model = build(dora_cfg())
    done = export_backbone(model, tmp_path / 'wide.ts', size=(32, 48), pool='none')
    assert done.meta['output_shape'] == [-1, 24, 24]
    with pytest.raises(FileExistsError, match='--force'):
        export_backbone(model, tmp_path / 'wide.ts')
    with pytest.raises(ValueError, match='onnx, got .*wide.pth'):
        export_backbone(model, tmp_path / 'wide.pth')
    with pytest.raises(ValueError, match='frame of 30x30'):
        export_backbone(model, tmp_path / 'odd.ts', size=30)
    with pytest.raises(ValueError, match='training mode'):
        export_backbone(build(dora_cfg()).train(), tmp_path / 'odd.ts')
    assert not (tmp_path / 'odd.ts').exists()


def test_a_wrong_export_is_not_written(monkeypatch, tmp_path):
    model = build(dora_cfg())
    write, read = torchscript.FORMATS['.ts']
    wrong = write, lambda path: lambda pixels: read(path)(pixels) + 1
    monkeypatch.setitem(torchscript.FORMATS, '.ts', wrong)
    with pytest.raises(ValueError, match='features differ'):
        export_backbone(model, tmp_path / 'backbone.ts')
    assert list(tmp_path.iterdir()) == []


def test_what_onnx_needs_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'onnx', None)  # as if it were not installed
    with pytest.raises(ImportError, match='onnx.*pip install onnx'):
        export_backbone(build(dora_cfg()), tmp_path / 'backbone.onnx')
    assert list(tmp_path.iterdir()) == []
