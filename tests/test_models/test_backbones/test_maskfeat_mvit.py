import pytest
import torch

from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import MODELS
from tests.references.peer_maskfeat import PeerMaskFeat
from tests.utils_model import KeptBytes, masked_samples, noise

ARCH = dict(embed_dims=8, num_layers=4, num_heads=1, downscale_indices=[1], dim_mul_indices=[1, 3])
SIZES = dict(spatial_size=32, temporal_size=4, adaptive_kv_stride=(1, 4, 4))


def build(seed=0, **changes):
    torch.manual_seed(seed)
    cfg = dict(type='mmvidssl.MaskFeatMViT', **{'arch': ARCH, **SIZES, **changes})
    model = MODELS.build(cfg)
    for _, parameter in sorted(model.named_parameters()):
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture
def clip():
    return noise(2, 3, 4, 32, 32)


@pytest.fixture
def mask():
    """Other cubes, and another number of them, in each sample; on a window of 2 x 2 x 2."""
    mask = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    mask[0, 1, :, 0] = mask[1, 0, 0] = mask[1, 1, 1, 1] = True
    return mask


def naive_tokens(model, clip, mask):
    """Patch by patch replacement, then the blocks one after another."""
    tokens, grid = model.patch_embed(clip)
    t, h, w = (side // cells for side, cells in zip(grid, mask.shape[1:], strict=True))
    for b, i, j, k in torch.cartesian_prod(*map(torch.arange, (len(clip), *grid))).tolist():
        if mask[b, i // t, j // h, k // w]:
            index = (i * grid[1] + j) * grid[2] + k
            tokens[b, index] = model.mask_token[0, 0]
    tokens = torch.cat((model.cls_token.expand(len(clip), -1, -1), tokens), dim=1)
    for block in model.blocks:
        tokens, grid = block(tokens, grid)
    return model.norm1(tokens)[:, 1:], grid


def test_tokens(clip, mask):
    model = build()
    with torch.no_grad():
        tokens, grid = model.forward_tokens(clip, mask)
        expected, expected_grid = naive_tokens(model, clip, mask)
    assert grid == tuple(expected_grid) == (2, 4, 4)
    torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-6)


def test_without_mask_tokens_are_the_feature_map_of_forward(clip):
    model = build()
    tokens, grid = model.forward_tokens(clip)
    ((patches, _),) = model(clip)
    assert patches.shape[2:] == grid
    torch.testing.assert_close(tokens, patches.flatten(2).transpose(1, 2), rtol=0, atol=1e-6)
    nothing = torch.zeros(2, 1, 1, 1, dtype=torch.bool)
    assert torch.equal(model.forward_tokens(clip, nothing).tokens, tokens)


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(drop_path_rate=0.5),
        dict(with_cp=True),
        dict(rel_pos_embed=False),
        dict(with_cls_token=False, output_cls_token=False),
    ],
    ids=['', 'drop_path', 'with_cp', 'no positions', 'no class token'],
)
def test_masked_tokens_alone_are_the_same(options, clip, mask):
    model = build(**options).train()
    results = []
    for method in (model.forward_tokens, model.forward_masked):
        model.zero_grad()
        torch.manual_seed(0)
        tokens, grid = method(clip, mask)
        if method == model.forward_tokens:
            tokens = tokens[resize_mask(mask, grid).flatten(1)]
        (tokens * noise(*tokens.shape)).sum().backward()
        results.append((grid, tokens, {n: p.grad for n, p in model.named_parameters()}))
    (grid, tokens, grads), (other_grid, other_tokens, other_grads) = results
    assert grid == other_grid
    torch.testing.assert_close(tokens, other_tokens, rtol=0, atol=1e-6)
    for name, grad in grads.items():
        torch.testing.assert_close(grad, other_grads[name], rtol=1e-4, atol=1e-5, msg=name)


def test_what_is_computed_twice_changes_no_gradient(clip, mask):
    gradients = []
    for with_cp in (False, 'cheap', True):
        model = build(with_cp=with_cp).double()
        model.forward_tokens(clip.double(), mask).tokens.square().sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        for again in gradients[1:]:
            torch.testing.assert_close(again[name], gradient, rtol=1e-9, atol=1e-9, msg=name)


def test_a_mask_of_another_window_is_refused(clip):
    with pytest.raises(ValueError, match=r'\(2, 3, 2\).*\(2, 8, 8\)'):
        build().forward_tokens(clip, torch.zeros(2, 2, 3, 2, dtype=torch.bool))


@pytest.mark.parametrize('arch', ['tiny', 'small', 'base', 'large'])
def test_fine_tuned_model_less_its_last_downscaling(arch):
    with torch.device('meta'):
        model = MODELS.build(dict(type='mmvidssl.MaskFeatMViT', arch=arch))
        tuned = MODELS.build(dict(type='mmvidssl.MViT', arch=arch))
    strides = [tuple(block.attn.pool_q.stride) for block in model.blocks]
    expected = [tuple(block.attn.pool_q.stride) for block in tuned.blocks]
    (last,) = (i for i, pair in enumerate(zip(strides, expected, strict=True)) if len({*pair}) == 2)
    assert last == max(tuned.downscale_indices) and strides[last] == (1, 1, 1)
    assert tuple(model.blocks[-1].init_out_size) == (8, 14, 14)
    for block, other in zip(model.blocks, tuned.blocks, strict=True):
        assert block.attn.num_heads == other.attn.num_heads
        assert (block.in_dims, block.out_dims) == (other.in_dims, other.out_dims)


def test_unknown_arch():
    with pytest.raises(ValueError, match="'small', 'tiny'.*'huge'"):
        MODELS.build(dict(type='mmvidssl.MaskFeatMViT', arch='huge'))


def test_initial_values_are_the_released_codes():
    """Of norms and linear layers 0.02; but the head's norm 0, and PyTorch's default of patches."""
    model = MODELS.build(dict(type='mmvidssl.MaskFeatMViT', arch=dict(ARCH, embed_dims=96)))
    model.init_weights()
    last = model.num_scales - 1
    biases = {name: p for name, p in model.named_parameters() if name.endswith('.bias')}
    assert not biases.pop(f'norm{last}.bias').any()
    bias, bound = biases.pop('patch_embed.projection.bias'), (3 * 3 * 7 * 7) ** -0.5
    assert bias.std().item() == pytest.approx(bound / 3**0.5, rel=0.2)
    assert bound / 2 < bias.abs().max() <= bound
    assert all((bias == 0.02).all() for bias in biases.values())


def test_tokens_that_stand_for_something_start_small():
    model = MODELS.build(dict(type='mmvidssl.MaskFeatMViT', arch=dict(ARCH, embed_dims=96)))
    model.init_weights()
    for token in (model.mask_token, model.cls_token):
        assert token.std().item() == pytest.approx(0.02, rel=0.5)


def test_what_is_kept_for_the_backward_pass():
    arch = dict(embed_dims=32, num_layers=4, num_heads=1, downscale_indices=[1, 3])
    cfg = dict(arch=arch, spatial_size=64, temporal_size=4)
    kept = []
    for kind, options in (
        ('mmaction.MViT', dict(dim_mul_in_attention=False)),
        ('mmvidssl.MViT', {}),
        ('mmvidssl.MViT', dict(with_cp='cheap')),
        ('mmvidssl.MViT', dict(with_cp=True)),
    ):
        model = MODELS.build(dict(type=kind, **cfg, **options))
        with KeptBytes() as counter:
            output = model(noise(1, 3, 4, 64, 64))
        kept.append(counter.total())
        del output
    peer, ours, cheap, checkpointed = kept
    assert ours < peer
    assert cheap < 0.7 * min(ours, peer)
    assert checkpointed < 0.6 * cheap


def test_fused_kernel_without_attention_map(clip, mask):
    attention = torch.nn.attention
    with attention.sdpa_kernel(attention.SDPBackend.FLASH_ATTENTION):
        build().forward_tokens(clip, mask).tokens.sum().backward()


def test_compiles_whole(clip, mask):
    model = build(arch=dict(ARCH, num_layers=2, downscale_indices=[1]), drop_path_rate=0.1).eval()
    compiled = torch.compile(model.forward_tokens, backend='aot_eager', fullgraph=True)
    tokens = compiled(clip, mask).tokens
    torch.testing.assert_close(tokens, model.forward_tokens(clip, mask).tokens, rtol=0, atol=1e-5)
    tokens.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_step_equals_that_of_mmaction_and_mmpretrain():
    """What tools/benchmarks/train_step.py compares, in small."""
    torch.manual_seed(0)
    arch = dict(ARCH, num_layers=3, downscale_indices=[1, 2], dim_mul_indices=[1, 2])
    peer = PeerMaskFeat(arch)
    ours = MODELS.build(
        dict(
            type='mmvidssl.MaskFeat',
            backbone=dict(type='mmvidssl.MaskFeatMViT', arch=arch),
            neck=dict(
                type='mmpretrain.LinearNeck', in_channels=32, out_channels=108, norm_cfg=None
            ),
            target_generator=dict(type='mmvidssl.HOGGenerator'),
            head=dict(type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.RegressionLoss')),
        )
    )
    weights = {key: value for key, value in peer.state_dict().items() if 'hog' not in key}
    ours.load_state_dict(weights, strict=True)
    clip, mask = noise(1, 3, 16, 224, 224), noise(1, 8, 7, 7) > 0.25
    loss, expected = (
        ours.loss(dict(clip=clip), masked_samples(*mask))['loss'],
        peer.loss(clip, mask),
    )
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    loss.backward()
    expected.backward()
    for name, parameter in peer.named_parameters():
        found = ours.get_parameter(name).grad
        torch.testing.assert_close(found, parameter.grad, rtol=1e-3, atol=1e-6, msg=name)
