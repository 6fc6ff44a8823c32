"""What is measured and drawn of MaskFeat's predictions."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import init_model
from mmvidssl.apis.pictures import GREY
from mmvidssl.apis.quickstart.maskfeat import MaskFeatDemo
from mmvidssl.models.utils import resize_mask, stack_masks
from mmvidssl.visualization import write_video

CONFIGS = Path(__file__).parents[3] / 'configs'
CONFIG = CONFIGS / 'maskfeat' / 'maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py'


@pytest.fixture(scope='module')
def look(tmp_path_factory):
    """A demo of a video, a model with random weights, and what the demo says of it."""
    folder = tmp_path_factory.mktemp('maskfeat')
    coarse = np.random.default_rng(0).integers(0, 256, (15, 20, 30, 1), np.uint8)
    shots = [cv2.resize(c, (240, 160), interpolation=cv2.INTER_CUBIC) for c in coarse]
    frames = np.repeat(np.stack(shots)[..., None], 3, axis=-1).repeat(2, axis=0)
    write_video(folder / 'v.mp4', frames, fps=20)  # each frame of a clip is another
    cfg = Config.fromfile(CONFIG)
    cfg.train_dataloader.dataset.update(videos=['v.mp4'], ann_file='', data_root=str(folder))
    demo = MaskFeatDemo(cfg, folder / 'v.mp4')
    model = init_model(cfg).eval()
    demo.before(model)
    return demo, model


@torch.no_grad()
def test_losses_are_those_of_masked_tokens(look):
    demo, model = look
    data = model.data_preprocessor(demo.batch)
    loss = model.loss(**data)['loss']
    assert demo.first_loss == pytest.approx(loss.item(), rel=1e-5)
    masked = resize_mask(stack_masks(data['data_samples']), (2, 8, 8)).flatten(1)
    target = model.target_generator(data['inputs']['clip'])[masked]
    variance = target.var(dim=0, correction=0).mean()
    assert demo.mean_loss == pytest.approx(variance.item(), rel=1e-5)


def test_predictions_are_drawn_where_they_were_asked_for(look):
    frames, masked, predicted, true = look[0].pictures
    assert frames.shape == masked.shape == predicted.shape == true.shape == (5, 256, 256, 3)
    hidden = (masked == GREY).all(-1)
    assert (masked == frames)[~hidden].all() and 0.1 < hidden.mean() < 0.9
    halves = np.abs(predicted - true / 2)[..., 0]
    assert halves[~hidden].max() <= 1 and halves[hidden].mean() > 10


def test_true_strokes_lie_along_the_edges_of_the_frame_beside_them(look):
    frames, _, _, true = look[0].pictures

    def orientations(picture):
        """Of 8 x 8 blocks: the double angle of gradients, as unit vectors."""
        gx, gy = (cv2.Sobel(picture, cv2.CV_32F, *d) for d in ((1, 0), (0, 1)))
        tensor = np.stack((gx**2 - gy**2, 2 * gx * gy), axis=-1)
        blocks = cv2.resize(tensor, (8, 8), interpolation=cv2.INTER_AREA)
        return blocks / np.linalg.norm(blocks, axis=-1, keepdims=True)

    edges, strokes = (np.stack([orientations(p) for p in x[..., 0]]) for x in (frames, true))
    assert (edges * strokes).sum(-1).mean() > 0.6  # cosines; 0 by chance
