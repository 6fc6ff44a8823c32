"""Detection configs, run with mmdetection."""

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torchvision.ops import roi_align

from mmvidssl.models.backbones.mvit import resize_rel_pos
from mmvidssl.registry import MODELS
from tests.test_downstream import utils
from tests.test_downstream.utils_action import coverage_at_full_size, pretraining_config
from tests.test_downstream.utils_dense import (
    bicubic,
    check_custom_keys,
    check_header,
    check_metafile,
    check_name,
    configs_of,
    divide_sizes,
    metrics_of,
    read_config,
    replace_numbers,
    write_coco,
)
from tests.utils_config import changes

PATHS = configs_of('coco')
EACH = pytest.mark.parametrize('name', PATHS)
IBOT_1X = 'cascade-mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco'
IBOT_3X = 'cascade-mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-36e_coco'
MASK_RCNN = 'mask-rcnn_vit-small-p16_dora-wt-pre_8xb4-amp-ms-12e_coco'
MVIT = 'cascade-mask-rcnn_mvit-small_maskfeat-k400-pre_8xb4-amp-ms-36e_coco'
WIDTHS = {384: 32, 256: 16, 1024: 32}
MVIT_WIDTHS = {192: 16, 384: 32, 768: 64, 256: 16, 1024: 32}
KEYS = (
    'embed_dim',
    'in_channels',
    'out_channels',
    'feat_channels',
    'conv_out_channels',
    'fc_out_channels',
)


def is_mvit(name):
    return '_mvit-' in name


def shrink(cfg, name, data_root, checkpoint, work_dir):
    """Narrow, for images of a hundred pixels, with the config's own pipelines, heads and losses."""
    divide_sizes(cfg._cfg_dict, 8)
    backbone = cfg.model.backbone
    if is_mvit(name):
        backbone.update(arch=utils.FINETUNING_ARCH, spatial_size=64, temporal_size=4)
    else:
        backbone.update(arch=utils.NARROW_VIT, img_size=(64, 96))
    backbone.init_cfg.checkpoint = str(checkpoint)
    numbers = MVIT_WIDTHS if is_mvit(name) else WIDTHS
    replace_numbers(cfg.model.neck, numbers, KEYS)
    replace_numbers(cfg.model.rpn_head, numbers, KEYS)
    replace_numbers(cfg.model.roi_head, numbers, KEYS)
    train_cfg, test_cfg = cfg.model.train_cfg, cfg.model.test_cfg
    stages = train_cfg.rcnn if isinstance(train_cfg.rcnn, list) else [train_cfg.rcnn]
    for part in (train_cfg.rpn, *stages):
        part.sampler.num = 16
    for proposal in (train_cfg.rpn_proposal, test_cfg.rpn):
        proposal.update(nms_pre=50, max_per_img=20)
    test_cfg.rcnn.update(score_thr=0.0, max_per_img=10)  # there shall be something to evaluate
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data_root)
    annotations = f'{data_root}/annotations/{cfg.val_evaluator.ann_file.split("/")[-1]}'
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = annotations
    return utils.shrink_runner(cfg, work_dir)


@pytest.fixture(scope='module')
def coco(tmp_path_factory):
    root = tmp_path_factory.mktemp('coco')
    write_coco(
        root,
        {part: f'annotations/instances_{part}2017.json' for part in ('train', 'val')},
        {part: f'{part}2017' for part in ('train', 'val')},
        CocoDataset.METAINFO['classes'],
    )
    return root


def check_backbone(name, state, checkpoint):
    if is_mvit(name):
        new = [f'norm{scale}.' for scale in range(3)]
        utils.assert_backbone_loaded(
            state,
            checkpoint,
            renamed={'norm2.': 'norm3.'},
            interpolated={
                f'rel_pos_{axis}': lambda value, shape: resize_rel_pos(value, shape[0])
                for axis in 'thw'
            },
            new=new,
        )
    else:
        utils.assert_backbone_loaded(
            state,
            checkpoint,
            utils.TEACHER,
            interpolated=dict(pos_embed=bicubic(source=(4, 4), target=(4, 6))),
            left_over=['ln1.'],
        )


def check_evaluation(runner):
    metrics = metrics_of(runner, 'coco/bbox_mAP', 'coco/segm_mAP', 'coco/bbox_mAP_50')
    assert all(0 <= value <= 1 for value in metrics.values())


@EACH
def test_full_size(name):
    cfg = read_config(PATHS[name])
    check_header(PATHS[name])
    check_name(PATHS[name], cfg)
    check_custom_keys(cfg)
    model = utils.build_on_meta(cfg)
    check_metafile(PATHS[name], model)
    ops = {type(m).__name__ for m in model.modules() if 'mmcv.ops' in type(m).__module__}
    assert ops == {'RoIAlign'}  # compiled; of their maps' memory see the next test
    levels = model.extract_feat(torch.zeros(1, 3, 64, 96, device='meta'))
    sizes = [tuple(level.shape[1:]) for level in levels]
    assert sizes == [(256, 64 // s, 96 // s) for s in (4, 8, 16, 32)] + [(256, 1, 2)]


@pytest.mark.parametrize('name', [MASK_RCNN, IBOT_1X, MVIT])
def test_features_of_boxes_are_those_of_torchvision(name, tmp_path):
    """Of contiguous maps: mmcv's compiled operator takes any for such (mmcv#2203)."""
    cfg = shrink(Config.fromfile(PATHS[name]), name, tmp_path, 'none', tmp_path)
    utils.register_all_modules(init_default_scope=False)
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model).eval()
    boxes = torch.tensor([[0, 4, 4, 40, 50], [1, 8, 8, 90, 60], [1, 10, 3, 30, 33]]).float()
    with torch.no_grad():
        levels = model.extract_feat(torch.randn(2, 3, 64, 96))
        assert all(level.is_contiguous() for level in levels)
        extractors = [model.roi_head.bbox_roi_extractor, model.roi_head.mask_roi_extractor]
        for extractor in extractors:
            extractor = extractor[0] if isinstance(extractor, torch.nn.ModuleList) else extractor
            features = extractor(levels[:4], boxes)  # all of these belong to the finest level
            layer = extractor.roi_layers[0]
            expected = roi_align(
                levels[0], boxes, layer.output_size, layer.spatial_scale, 0, layer.aligned
            )
            torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in PATHS if not n.endswith('own-data') and n != IBOT_3X])
def test_trains_and_evaluates(name, coco, pretrained, tmp_path):
    """That for data of one's own is trained where its page is followed, in test_own_data.py."""
    cfg = Config.fromfile(PATHS[name])
    checkpoint = pretrained.maskfeat if is_mvit(name) else pretrained.dora
    runner, start = utils.train(shrink(cfg, name, coco, checkpoint, tmp_path))
    assert runner.iter == 2
    check_backbone(name, start, checkpoint)
    check_evaluation(runner)
    assert all(p.isfinite().all() for p in runner.model.parameters())
    learnt = {n for n, p in runner.model.named_parameters() if not torch.equal(p, start[n])}
    # A rate that begins at a thousandth of the real one moves little in two steps.
    assert {name.split('.')[0] for name in learnt} >= {'backbone', 'neck', 'rpn_head', 'roi_head'}


def test_the_long_schedule_differs_in_the_schedule_alone():
    """So that it is enough to train the short one."""
    assert changes(Config.fromfile(PATHS[IBOT_1X]), Config.fromfile(PATHS[IBOT_3X])).keys() == {
        'optim_wrapper.paramwise_cfg.layer_decay_rate',
        'param_scheduler.1.end',
        'param_scheduler.1.milestones.0',
        'param_scheduler.1.milestones.1',
        'train_cfg.max_epochs',
    }


@pytest.mark.parametrize(
    'name, decay, length, steps', [(IBOT_1X, 0.8, 12, [8, 11]), (IBOT_3X, 0.75, 36, [27, 33])]
)
def test_recipe_is_that_of_ibot(name, decay, length, steps):
    cfg = Config.fromfile(PATHS[name])
    backbone, wrapper = cfg.model.backbone, cfg.optim_wrapper
    assert list(backbone.out_indices) == [3, 5, 7, 11]
    assert backbone.final_norm is False and backbone.drop_path_rate == 0.1
    assert backbone.img_size == (800, 1008)
    assert cfg.train_dataloader.batch_size * 8 == 32
    assert wrapper.type == 'AmpOptimWrapper' and wrapper.clip_grad is None
    assert wrapper.optimizer.to_dict() == dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05
    )
    assert wrapper.paramwise_cfg.to_dict() == dict(layer_decay_rate=decay)
    warmup, drops = cfg.param_scheduler
    assert (warmup.start_factor, warmup.end, warmup.by_epoch) == (0.001, 500, False)
    assert (drops.milestones, drops.gamma, drops.end) == (steps, 0.1, length)
    assert cfg.train_cfg.max_epochs == length
    for head in cfg.model.roi_head.bbox_head:
        assert (head.num_shared_convs, head.num_shared_fcs) == (4, 1)
        assert head.reg_decoded_bbox and head.loss_bbox.type == 'GIoULoss'
    flip, sizes = cfg.train_dataloader.dataset.pipeline[2:4]
    assert flip.prob == 0.5
    (resize,), (before, crop, after) = sizes.transforms
    assert [side for side, _ in resize.scales] == list(range(480, 801, 32))
    assert [side for side, _ in before.scales] == [400, 500, 600]
    assert crop.crop_size == (384, 600) and after.scales == resize.scales


@pytest.mark.parametrize('name', [name for name in PATHS if 'own-data' not in name])
def test_full_models_take_the_weights_of_the_configs_they_name(name):
    cfg = Config.fromfile(PATHS[name])
    coverage = coverage_at_full_size(cfg, pretraining_config(cfg))
    assert not coverage.mismatched
    if is_mvit(name):
        assert coverage.missing == [
            f'norm{n}.{part}' for n in range(3) for part in ('weight', 'bias')
        ]
        assert set(coverage.renamed) == {'norm3.weight', 'norm3.bias'}
        assert all('.rel_pos_' in key for key in coverage.interpolated)
        assert coverage.unexpected == ['mask_token']
    else:
        assert not coverage.missing
        assert coverage.interpolated == {'pos_embed': ((1, 197, 384), (1, 1 + 50 * 63, 384))}
        assert coverage.unexpected == ['ln1.weight', 'ln1.bias']
