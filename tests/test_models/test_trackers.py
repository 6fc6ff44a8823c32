import pytest
import torch

from mmvidssl.models.utils import FrameTokens
from mmvidssl.registry import MODELS
from tests.references import naive
from tests.utils_model import noise

B, T, HEADS, DIM, GRID = 3, 4, 5, 2, (3, 2)
N = GRID[0] * GRID[1]


def build(**changes):
    return MODELS.build({'type': 'mmvidssl.MultiObjectTracker', 'num_objects': 2, **changes})


def some_tokens(batch_size=B, seed=0):
    attention = noise(batch_size, HEADS, 1 + N, seed=seed).softmax(-1)
    return FrameTokens(
        class_token=noise(T, batch_size, HEADS * DIM, seed=seed + 1),
        patches=noise(batch_size, N, HEADS * DIM, seed=seed + 2),
        class_attention=attention[:, :, 1:],
        query=noise(batch_size, HEADS, 1 + N, DIM, seed=seed + 3),
        key=noise(T, batch_size, HEADS, 1 + N, DIM, seed=seed + 4),
        grid=GRID,
    )


def pick(tokens, samples):
    return tokens._replace(
        class_token=tokens.class_token[:, samples],
        patches=tokens.patches[samples],
        class_attention=tokens.class_attention[samples],
        query=tokens.query[samples],
        key=tokens.key[:, samples],
    )


@pytest.mark.parametrize('use_sinkhorn', [True, False])
def test_equals_the_loop(use_sinkhorn):
    tokens, heads = some_tokens(), (3, 1)
    track = build(heads=heads, use_sinkhorn=use_sinkhorn, epsilon=0.5, num_iters=4)(tokens)
    assert track.heads == heads
    assert track.maps.shape == track.masks.shape == (2, B, T, *GRID)
    for b in range(B):
        # a patch's query and key: the vectors of all heads one after the other
        query = torch.stack([tokens.query[b, :, 1 + n].flatten() for n in range(N)])
        prototypes = [
            sum(tokens.class_attention[b, head, n] * query[n] for n in range(N)) for head in heads
        ]
        refined = prototypes
        if use_sinkhorn:
            patches = [patch / patch.norm() for patch in tokens.patches[b]]
            scores = torch.tensor([[patch @ proto for proto in prototypes] for patch in patches])
            plan = naive.sinkhorn_knopp(scores, 0.5, 4).float()
            torch.testing.assert_close(track.assignment[b], plan, atol=1e-5, rtol=1e-4)
            refined = [sum(plan[n, o] * patches[n] for n in range(N)) for o in range(2)]
        for o in range(2):
            torch.testing.assert_close(track.prototypes[b, o], prototypes[o])
            for t in range(T):
                key = torch.stack([tokens.key[t, b, :, 1 + n].flatten() for n in range(N)])
                row = ((key @ refined[o]) / (HEADS * DIM) ** 0.5).softmax(0).view(GRID)
                torch.testing.assert_close(track.maps[o, b, t], row, atol=1e-5, rtol=1e-4)
    if not use_sinkhorn:
        assert track.assignment is None


def test_features_may_keep_their_lengths():
    tokens = some_tokens()
    track = build(normalize_features=False, epsilon=5.0).eval()(tokens)
    for b in range(B):
        scores = tokens.patches[b] @ track.prototypes[b].T
        plan = naive.sinkhorn_knopp(scores, 5.0, 30).float()
        torch.testing.assert_close(track.assignment[b], plan, atol=1e-5, rtol=1e-4)
    unit = tokens._replace(patches=torch.nn.functional.normalize(tokens.patches, dim=-1))
    ours, theirs = build(normalize_features=False), build()
    assert torch.equal(ours.eval()(unit).maps, theirs.eval()(tokens).maps)
    assert not torch.equal(track.maps, theirs(tokens).maps)


def draw(tracker):
    """The heads of a step of one pass."""
    heads = tracker.select_heads(HEADS)
    tracker.finish_step()
    return heads


def test_heads_stay_within_a_step():
    tracker = build()
    steps = []
    for _ in range(5):
        first = tracker.select_heads(HEADS)
        assert tracker.select_heads(HEADS) == first
        steps.append(draw(tracker))
    assert len(set(steps)) > 2


def test_passes_that_draw_for_themselves_draw_what_ranks_do(monkeypatch):
    """Four passes of one process, and one of each of four: ``random.sample`` on each GPU."""
    alone = build(draw_heads='pass')
    passes = [draw(alone) for _ in range(8)]
    module = 'mmvidssl.models.trackers'
    ranks = [build(draw_heads='pass') for _ in range(4)]
    monkeypatch.setattr(f'{module}.get_world_size', lambda: 4)
    drawn = []
    for _ in range(2):
        for rank, tracker in enumerate(ranks):
            monkeypatch.setattr(f'{module}.get_rank', lambda rank=rank: rank)
            drawn.append(draw(tracker))
    assert drawn == passes and len(set(passes)) > 4


def test_drawn_heads_depend_on_seed_and_count_alone():
    first, second, other = build(seed=3), build(seed=3), build(seed=4)
    torch.manual_seed(0)
    draws = [draw(first) for _ in range(30)]
    torch.manual_seed(1)
    assert draws == [draw(second) for _ in range(30)]
    assert draws != [draw(other) for _ in range(30)]
    assert len(set(draws)) > 5
    assert {head for draw in draws for head in draw} == set(range(HEADS))
    assert all(len(set(draw)) == 2 for draw in draws)


def test_the_count_of_draws_is_in_the_checkpoint():
    tracker, resumed = build(), build()
    for _ in range(3):
        draw(tracker)
    resumed.load_state_dict(tracker.state_dict())
    assert resumed.num_draws == 3
    assert resumed.select_heads(HEADS) == tracker.select_heads(HEADS)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build()(some_tokens())
    assert torch.equal(torch.rand(3), expected)


def test_stated_heads_and_evaluation_draw_nothing():
    stated, evaluated = build(heads=[4, 0]), build().eval()
    assert stated.select_heads(HEADS) == (4, 0)
    assert evaluated.select_heads(HEADS) == (0, 1)
    stated.finish_step()
    assert stated.num_draws == evaluated.num_draws == 0


def test_hard_masks_lie_above_the_mean_of_their_map():
    track = build().eval()(some_tokens())
    means = track.maps.mean(dim=(-2, -1), keepdim=True)
    assert track.masks.dtype == torch.bool
    assert torch.equal(track.masks, track.maps > means)
    assert track.masks.flatten(3).any(-1).all()


@pytest.mark.parametrize('threshold, depends', [('map', False), ('batch', True)])
def test_batch_mates(threshold, depends):
    """With ``batch``, what else is in the batch decides on a sample's mask."""
    tokens = some_tokens(batch_size=6)
    tracker = build(threshold=threshold).eval()
    together = tracker(tokens).masks
    alone = torch.cat([tracker(pick(tokens, [b])).masks for b in range(6)], dim=1)
    assert torch.equal(together, alone) is not depends


def test_batch_threshold_equals_the_loop():
    maps = noise(2, B, T, N).softmax(-1)
    masks = build(threshold='batch').threshold_maps(maps)
    for o in range(2):
        for t in range(T):
            unit = torch.stack([maps[o, b, t] / maps[o, b, t].norm() for b in range(B)])
            assert torch.equal(masks[o, :, t], unit > unit.mean())


def test_soft_masks_are_weights():
    track = build(mask_type='soft').eval()(some_tokens())
    assert track.masks.dtype == torch.float32
    assert (track.masks > 0).all()
    assert (track.masks.amax(dim=(-2, -1)) == 1).all()
    ratio = track.masks / track.maps
    torch.testing.assert_close(ratio, ratio[..., :1, :1].expand_as(ratio))


def test_no_gradient():
    tokens = FrameTokens(
        *(t.requires_grad_() if isinstance(t, torch.Tensor) else t for t in some_tokens())
    )
    track = build()(tokens)
    assert not track.maps.requires_grad and not track.prototypes.requires_grad


def test_autocast_changes_nothing():
    """The released code runs Sinkhorn-Knopp in half precision, where epsilon is too small."""
    tracker, tokens = build().eval(), some_tokens()
    expected = tracker(tokens)
    with torch.autocast('cpu', torch.bfloat16):
        track = tracker(tokens)
    for name in ('masks', 'maps', 'prototypes', 'assignment'):
        assert torch.equal(getattr(track, name), getattr(expected, name)), name


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_objects=6), 'num_objects=6, .* 5 '),
        (dict(heads=[0, 5]), r'heads=\[0, 5\], .* 5 '),
    ],
)
def test_refuses_a_backbone_with_too_few_heads(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)(some_tokens())


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_objects=0), 'at least 1'),
        (dict(heads=[0]), '2 different attention heads'),
        (dict(heads=[1, 1]), '2 different attention heads'),
        (dict(heads=[0, -1]), 'heads'),
        (dict(mask_type='both'), 'mask_type must be one of'),
        (dict(threshold='frame'), 'threshold must be one of'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
