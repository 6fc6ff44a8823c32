"""The weights that come with the repository."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.models import VisionTransformer
from skimage import data
from timm.models.vision_transformer import VisionTransformer as TimmViT

from mmvidssl.apis import export_to_timm, extract_features, init_model
from mmvidssl.apis.quickstart.moment_knn import make_crops
from mmvidssl.evaluation import knn_accuracy

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).parents[1]
DORA = ROOT / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-5000i_footage.py'
MASKFEAT = ROOT / 'configs/maskfeat/maskfeat_mvit-nano_1xb8-coslr-3000i_footage.py'
PICTURES = ('astronaut', 'chelsea', 'coffee', 'rocket', 'immunohistochemistry')


@pytest.mark.parametrize('config, name', [(DORA, 'dora'), (MASKFEAT, 'maskfeat')])
def test_files_are_small_and_plain(config, name):
    file = FOLDER / f'{name}.pth'
    assert file.stat().st_size < 4e6
    weights = torch.load(file, weights_only=True)['state_dict']
    model = init_model(config, str(file)).state_dict()
    assert {key for key in model if key.startswith('backbone.')} <= weights.keys()
    assert all(torch.equal(model[key], value) for key, value in weights.items())


def test_dora_is_an_ordinary_vit(tmp_path):
    model = init_model(DORA, str(FOLDER / 'dora.pth'))
    cfg = Config.fromfile(DORA).model.backbone
    weights = dict(type='Pretrained', checkpoint=str(FOLDER / 'dora.pth'), prefix='backbone.')
    sizes = {key: cfg[key] for key in ('arch', 'img_size', 'patch_size')}
    vit = VisionTransformer(**sizes, out_type='cls_token', init_cfg=weights)
    vit.init_weights()
    vit.eval()  # mmpretrain's returns nothing
    frames = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = vit(frames)[0]
        torch.testing.assert_close(model.teacher.backbone(frames)[0], expected)
        timm_vit = TimmViT(64, 8, embed_dim=128, depth=4, num_heads=4, num_classes=0)
        file = export_to_timm(model, tmp_path / 'timm.pth').path
        timm_vit.load_state_dict(torch.load(file, weights_only=True))
        torch.testing.assert_close(timm_vit.eval()(frames), expected)


def test_dora_knows_pictures_again_that_it_has_never_seen():
    rng = np.random.default_rng(0)
    pictures = [getattr(data, name)() for name in PICTURES]
    bank, held_out = (
        np.concatenate([make_crops(picture, 40, 64, rng, mirror) for picture in pictures])
        for mirror in (False, True)
    )
    labels = torch.arange(len(pictures)).repeat_interleave(40)
    torch.manual_seed(0)
    accuracy = []
    for checkpoint in (None, str(FOLDER / 'dora.pth')):
        model = init_model(DORA, checkpoint)
        features = [extract_features(model, crops) for crops in (bank, held_out)]
        near = [x - features[0].mean(dim=0) for x in features]
        accuracy.append(knn_accuracy(near[0], labels, near[1], labels, len(pictures), k=20))
    assert accuracy[1] > accuracy[0] + 0.1
