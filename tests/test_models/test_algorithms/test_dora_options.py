"""The options of DoRA: its ablation, what the student sees, and the presets' contradictions."""

import pytest
import torch

from mmvidssl.models.algorithms.dora import MASKINGS
from mmvidssl.models.algorithms.dora_presets import PRESETS, apply_preset
from mmvidssl.models.utils import apply_masks
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, dora_cfg, noise, views

# O, B, T, h, w
OBJECTS = noise(2, 3, 4, 4, 4) > 0.5


def tracker_cfg(**changes):
    return {'type': 'mmvidssl.MultiObjectTracker', 'num_objects': 2, **changes}


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(dora_cfg(**changes))


ABLATION = {
    **{f'k={k}': dict(tracker=tracker_cfg(num_objects=k)) for k in (1, 2, 4)},
    'without Sinkhorn': dict(tracker=tracker_cfg(use_sinkhorn=False)),
    'soft masks': dict(tracker=tracker_cfg(mask_type='soft')),
    **{f'masking {kind}': dict(masking=kind) for kind in MASKINGS},
    'all at once': dict(masking='random', tracker=tracker_cfg(use_sinkhorn=False, num_objects=3)),
}


@pytest.mark.parametrize('clip_len', [1, 4])
@pytest.mark.parametrize('row', ABLATION)
def test_each_row_of_the_ablation_trains_a_step(row, clip_len):
    model = build(preset='paper', **ABLATION[row])
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    losses = model.loss(views(clip_len=clip_len))
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    optimizer.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, trained, strict=True))


def test_rows_of_the_ablation_have_different_losses():
    losses = {
        row: sum(build(**options).loss(views()).values()).item()
        for row, options in ABLATION.items()
    }
    # k=2 and masking 'object' are the defaults of the tiny model
    assert losses['k=2'] == losses['masking object']
    assert len({round(value, 6) for value in losses.values()}) == len(losses) - 1


def test_student_sees_the_object_or_all_but_it():
    assert torch.equal(build().student_masks(OBJECTS), OBJECTS)
    assert torch.equal(build(masking='background').student_masks(OBJECTS), ~OBJECTS)
    soft = noise(2, 3, 4, 4, 4).sigmoid()
    torch.testing.assert_close(build(masking='background').student_masks(soft), 1 - soft)


def test_without_masking_the_student_sees_the_clip_once():
    masks = build(masking='none').student_masks(OBJECTS)
    clip = noise(3, 3, 4, 32, 32)
    assert torch.equal(apply_masks(clip, masks), clip[None])


def test_random_masks_cover_as_much_of_each_frame():
    masks = build(masking='random').student_masks(OBJECTS)
    assert torch.equal(masks.sum((-2, -1)), OBJECTS.sum((-2, -1)))
    assert not torch.equal(masks, OBJECTS)
    full = torch.zeros(1, 1, 64, 4, 4, dtype=torch.bool)
    full[..., 0, 0] = True
    places = build(masking='random').student_masks(full)
    assert len({tuple(frame.nonzero()[0].tolist()) for frame in places[0, 0]}) > 8


def test_random_masks_depend_on_seed_and_count_of_clips_alone():
    first, second = build(masking='random'), build(masking='random')
    torch.manual_seed(5)
    draws = [first.student_masks(OBJECTS) for _ in range(4)]
    torch.manual_seed(6)
    clips = [second.student_masks(OBJECTS[:, i % 3, None]) for i in range(4 * 3)]
    assert torch.equal(torch.cat(clips, dim=1), torch.cat(draws, dim=1))
    assert not torch.equal(draws[0], draws[1])
    other = build(masking='random', mask_seed=2).student_masks(OBJECTS)
    assert not torch.equal(draws[0], other)

    resumed = build(masking='random')
    resumed.load_state_dict(first.state_dict())
    assert resumed.num_mask_draws == 4 * 3
    assert torch.equal(resumed.student_masks(OBJECTS), first.student_masks(OBJECTS))


def test_random_masks_of_evaluation_are_the_first_and_count_for_nothing():
    model = build(masking='random')
    first = model.student_masks(OBJECTS)
    model.eval()
    assert torch.equal(model.student_masks(OBJECTS), first)
    assert model.num_mask_draws == 3
    model.num_mask_draws.zero_()
    assert torch.equal(model.student_masks(OBJECTS), first)


def test_masking_leaves_tracker_and_targets():
    inputs = views()
    for kind in MASKINGS:
        model = build(masking=kind)
        model.loss(inputs)
        model.finish_step()
        assert model.tracker.num_draws == 1
        torch.testing.assert_close(
            model.target_generator.center, build_and_step().target_generator.center
        )


def build_and_step():
    model = build()
    model.loss(views())
    model.finish_step()
    return model


@pytest.mark.parametrize('block', [0, 1, -1, -2])
def test_tracking_block_is_the_one_asked_for(block):
    model = build(tracker=tracker_cfg(block=block)).eval()
    clip = views()['global_clip']
    tokens = model.teacher.backbone.forward_tokens(clip, block=block)
    assert torch.equal(model.track(clip).maps, model.tracker(tokens).maps)
    assert torch.equal(model.forward_teacher(clip)[0].key, tokens.key)
    other = model.teacher.backbone.forward_tokens(clip, block=(block + 1) % 2)
    assert not torch.equal(tokens.key, other.key)


@pytest.mark.parametrize('block', [2, -3])
def test_refuses_a_block_that_is_not_there(block):
    with pytest.raises(ValueError, match=f'block={block}, .* 2 blocks'):
        build(tracker=tracker_cfg(block=block))


def test_refuses_an_unknown_masking():
    with pytest.raises(ValueError, match="masking .*'inverse'"):
        build(masking='inverse')


@pytest.mark.parametrize(
    'part, key, value',
    [
        ('tracker', 'threshold', 'map'),
        ('tracker', 'block', -2),
        ('tracker', 'epsilon', 0.1),
        ('tracker', 'num_iters', 3),
        ('tracker', 'normalize_features', False),
        ('tracker', 'mask_type', 'soft'),
        ('head', 'skip_first_local', False),
        ('head', 'carry_over', False),
        ('head', 'local_weight', 1.0),
        ('backbone', 'interpolate_offset', 0.0),
    ],
)
def test_official_preset_refuses_what_the_released_code_does_not_do(part, key, value):
    cfg = dora_cfg(preset='official')
    cfg[part] = {**cfg[part], key: value}
    official = PRESETS['official'][part][key]
    message = f'{part}.{key}={official!r}, .*{value!r}'
    with pytest.raises(ValueError, match=message):
        build(**cfg)
    cfg['preset'] = None
    assert getattr(getattr(build(**cfg), part), key) == value


def test_all_contradictions_are_listed():
    parts = dict(backbone={}, tracker=dict(threshold='batch'), head=dict(carry_over=True))
    with pytest.raises(ValueError, match="threshold='map'.*carry_over="):
        apply_preset('paper', parts)


@pytest.mark.parametrize('kind', ['cheap', True])
def test_checkpointed_blocks_give_the_same_losses_and_gradients(kind):
    """Those of what is random too: dropout comes before drop path, and draws as many numbers."""

    def step(with_cp):
        chances = dict(drop_path_rate=0.4, drop_rate=0.3)
        attention = dict(layer_cfgs=dict(attn_drop_rate=0.2))
        model = build(backbone=backbone_cfg(with_cp=with_cp, **chances, **attention))
        torch.manual_seed(1)  # of the drop path
        losses = model.loss(views())
        sum(losses.values()).backward()
        return losses, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}

    losses, gradients = step(with_cp=False)
    again, recomputed = step(with_cp=kind)
    assert {k: v.item() for k, v in again.items()} == {k: v.item() for k, v in losses.items()}
    for name, gradient in gradients.items():
        assert torch.equal(gradient, recomputed[name]), name
