"""Depth configs, run with mmsegmentation."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from tests.test_downstream import utils
from tests.test_downstream.utils_action import coverage_at_full_size, pretraining_config
from tests.test_downstream.utils_dense import (
    bicubic,
    check_custom_keys,
    check_header,
    check_metafile,
    check_name,
    configs_of,
    metrics_of,
    replace_numbers,
    write_depth,
)

PATHS = configs_of('nyuv2')
EACH = pytest.mark.parametrize('name', PATHS)
LINEAR = 'linear_vit-small-p16_dora-wt-pre_8xb2-amp-38k_nyuv2-416x544'
GRIDS = (4, 4), (14, 14)  # pretraining's and the config's
WIDTHS = {384: 32, 3072: 256, 768: 32, 96: 4}
KEYS = ('embed_dim', 'in_channels', 'feature_dim', 'num_deconv_filters')
METRICS = ('d1', 'd2', 'd3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog')


@pytest.fixture(scope='module')
def nyuv2(tmp_path_factory):
    root = tmp_path_factory.mktemp('nyuv2')
    write_depth(root)
    return root


def shrink(cfg, data_root, checkpoint, work_dir):
    """Narrow, but with images of 480 x 640: the metric's crop is for no other size."""
    cfg.model.backbone.update(arch=utils.NARROW_VIT)
    cfg.model.backbone.init_cfg.checkpoint = str(checkpoint)
    replace_numbers(cfg.model.decode_head, WIDTHS, KEYS)
    replace_numbers(cfg.model.get('neck') or {}, WIDTHS, KEYS)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data_root)
    return utils.shrink_runner(cfg, work_dir)


@EACH
def test_full_size(name):
    cfg = Config.fromfile(PATHS[name])
    check_header(PATHS[name])
    check_name(PATHS[name], cfg)
    check_custom_keys(cfg)
    model = utils.build_on_meta(cfg)
    check_metafile(PATHS[name], model)
    features = model.extract_feat(torch.zeros(1, 3, 64, 96, device='meta'))
    depth = model.decode_head(features)
    stride = 4 if name == LINEAR else 1
    assert depth.shape == (1, 1, 64 // stride, 96 // stride)
    if name == LINEAR:
        learning = {n for n, p in model.named_parameters() if p.requires_grad}
        assert learning == {'decode_head.linear.weight', 'decode_head.linear.bias'}


def predicted_depths(runner):
    """What the run's model says about the test images, and what they hold."""
    runner.model.eval()
    for batch in runner.test_dataloader:
        with torch.no_grad():
            (sample,) = runner.model.test_step(batch)
        annotation = cv2.imread(sample.depth_map_path, cv2.IMREAD_UNCHANGED)
        yield sample.pred_depth_map.data[0].numpy().astype(float), annotation / 1000


def naive_errors(runner):
    """Root mean square and relative error inside Eigen's crop, mean over the images."""
    errors = []
    for predicted, depth in predicted_depths(runner):
        crop = np.s_[45:471, 41:601]
        known = (depth[crop] > 0.001) & (depth[crop] < 10)
        p, d = predicted[crop][known], depth[crop][known]
        errors.append((((p - d) ** 2).mean() ** 0.5, (abs(p - d) / d).mean()))
    return np.mean(errors, axis=0)


@pytest.mark.slow
@EACH
def test_trains_and_evaluates(name, nyuv2, pretrained, tmp_path):
    cfg = shrink(Config.fromfile(PATHS[name]), nyuv2, pretrained.dora, tmp_path)
    runner, start = utils.train(cfg)
    assert runner.iter == 2
    utils.assert_backbone_loaded(
        start, pretrained.dora, utils.TEACHER, interpolated=dict(pos_embed=bicubic(*GRIDS))
    )
    end = runner.model.state_dict()
    moved = {key for key, value in end.items() if not torch.equal(value, start[key])}
    parts = {'decode_head'} | ({'neck'} if name != LINEAR else set())
    assert {key.split('.')[0] for key in moved} == parts  # the backbone is frozen
    metrics = metrics_of(runner, *METRICS)
    assert all(np.isfinite(value) for value in metrics.values())
    rmse, abs_rel = naive_errors(runner)
    assert metrics['rmse'] == pytest.approx(rmse, rel=1e-3)
    assert metrics['abs_rel'] == pytest.approx(abs_rel, rel=1e-3)


@EACH
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    assert not coverage.mismatched and not coverage.missing and not coverage.unexpected
    assert not coverage.interpolated  # positions are those of pretraining
