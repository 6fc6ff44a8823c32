"""Against PySlowFast's figures, mmpretrain's and scikit-image's HOG."""

import shutil

import numpy as np
import pytest
import torch
from mmpretrain.models.selfsup.maskfeat import HOGGenerator as PeerHOGGenerator
from scipy.ndimage import gaussian_filter
from skimage.feature import hog as skimage_hog
from torch._subclasses.fake_tensor import FakeTensorMode

from mmvidssl.models.target_generators import hog_generator
from mmvidssl.models.utils import resize_mask
from mmvidssl.registry import MODELS
from tests.references.reference_figures import load_figures, named_noise
from tests.utils_gpu import NEEDS_PRETENDED_GPU
from tests.utils_model import noise

OPTIONS = {
    'default': {},
    'window': dict(gaussian_window=16),
    'signed': dict(signed=True, nbins=18),
    'gray': dict(channels='gray'),
    'opponent': dict(channels='opponent', norm='l1'),
}


def build(**changes):
    return MODELS.build({'type': 'mmvidssl.HOGGenerator', **changes})


def test_equals_pyslowfast():
    setup, figures = load_figures('maskfeat_small')
    shape = (setup['batch'], 3, setup['frames'], setup['img'], setup['img'])
    clip = named_noise(setup['salt'] + 'clip', shape)
    generator = build()
    cells = generator.cells(clip[:, :, ::2].transpose(1, 2).flatten(0, 1))
    torch.testing.assert_close(cells, figures['hog_cells'], rtol=0, atol=1e-6)
    target = generator(clip)
    assert target.shape == (2, 4 * 4 * 4, 108)
    masked = resize_mask(figures['mask'].bool(), (4, 4, 4)).flatten(1)
    torch.testing.assert_close(target[masked], figures['target_masked'], rtol=0, atol=1e-6)


def axis_aligned(images):
    """Rows of one picture, columns of the next, flat squares, steps; exact zeros and +-pi."""
    rows = images[0, :, :1].expand(3, 224, 224)
    columns = images[0, :, :, :1].expand(3, 224, 224)
    squares = images[0, :, ::32, ::32].repeat_interleave(32, 1).repeat_interleave(32, 2)
    steps = torch.arange(224.0).div(4, rounding_mode='floor')
    return torch.stack((rows, columns, squares, (steps + steps[:, None]).expand(3, 224, 224)))


@pytest.mark.parametrize('gaussian_window', [0, 16])
@pytest.mark.parametrize('nbins', [9, 8])
def test_equals_mmpretrain(gaussian_window, nbins):
    """Also where gradients lie on the border of two bins: one in the wrong bin is 0.01 or more."""
    generator = torch.Generator().manual_seed(0)
    bytes_ = torch.randint(0, 256, (2, 3, 224, 224), generator=generator).float()
    images = torch.cat((noise(2, 3, 224, 224), (bytes_ - 114.75) / 57.375, axis_aligned(bytes_)))
    ours = build(nbins=nbins, gaussian_window=gaussian_window)(images)
    peer = PeerHOGGenerator(nbins=nbins, pool=8, gaussian_window=gaussian_window)(images)
    assert ours.any()
    torch.testing.assert_close(ours, peer, rtol=0, atol=1e-6)


def skimage_cells(picture: np.ndarray, nbins: int) -> np.ndarray:
    """``(H, W)`` -> ``(h, w, nbins)``, in our order of bins.

    scikit-image measures the angle of the gradient from the x axis, we (as PySlowFast) from the y
    axis the other way round.
    """
    cells = skimage_hog(
        picture,
        orientations=nbins,
        pixels_per_cell=(8, 8),
        cells_per_block=(1, 1),
        block_norm='L2',
        feature_vector=False,
    )[:, :, 0, 0]
    return cells[..., (nbins // 2 - 1 - np.arange(nbins)) % nbins]


def test_agrees_with_scikit_image():
    """On a smooth picture, where its central differences see what our Sobel filter sees."""
    picture = gaussian_filter(np.random.default_rng(0).normal(size=(96, 96)), 3)
    expected = skimage_cells(picture, 10)
    frame = torch.from_numpy(picture).float().expand(1, 3, -1, -1)
    cells = build(nbins=10).cells(frame)[0, 0].permute(1, 2, 0).numpy()
    # scikit-image has no gradients at the border.
    ours, expected = cells[1:-1, 1:-1], expected[1:-1, 1:-1]
    similarity = (ours * expected).sum(-1)
    assert similarity.mean() > 0.99 and similarity.min() > 0.93
    mirrored = (ours * expected[..., ::-1]).sum(-1)
    assert mirrored.mean() < 0.8


@pytest.mark.parametrize('degrees', range(9, 180, 18))
def test_gratings(degrees):
    """The dominant bin is that of the waves' direction, in scikit-image's opinion as well."""
    y, x = np.mgrid[:64, :64]
    angle = np.deg2rad(degrees)
    picture = np.sin(0.4 * (x * np.cos(angle) + y * np.sin(angle)))
    frame = torch.from_numpy(picture).float().expand(1, 3, -1, -1)
    ours = build(nbins=10).cells(frame)[0, 0, :, 1:-1, 1:-1].flatten(1).argmax(0)
    wanted = skimage_cells(picture, 10)[1:-1, 1:-1].reshape(-1, 10).argmax(-1)
    assert set(ours.tolist()) == set(wanted) == {int((90 - degrees) % 180 // 18)}


def test_order_of_a_target():
    generator = build(nbins=5, cell_size=4, patch_size=8, temporal_stride=1)
    clip = noise(2, 3, 2, 16, 24)
    target = generator(clip).unflatten(1, (2, 2, 3)).unflatten(-1, (3, 5, 2, 2))
    cells = generator.cells(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 2))
    for h in range(2):
        for w in range(3):
            patch = cells[..., 2 * h : 2 * h + 2, 2 * w : 2 * w + 2]
            assert torch.equal(target[:, :, h, w], patch)
    assert generator.pred_channels == 3 * 5 * 4


@pytest.mark.parametrize('frames', ['center', 'all'])
def test_targets_find_back_to_their_places(frames):
    generator = build(cell_size=4, patch_size=8, temporal_stride=2, frames=frames)
    clip = noise(2, 3, 4, 16, 24)
    seen = clip[:, :, :: 2 if frames == 'center' else 1].transpose(1, 2)
    cells = generator.cells(seen.flatten(0, 1)).unflatten(0, (2, -1))
    assert torch.equal(generator.as_cells(generator(clip), (2, 2, 3)), cells)


def test_only_target_frames_matter():
    clip = noise(2, 3, 5, 32, 32)
    target = build()(clip)
    assert target.shape == (2, 3 * 4, 108)
    other = clip.clone()
    other[:, :, 1::2] = 0
    assert torch.equal(build()(other), target)
    other[:, :, 2] = 0
    assert torch.equal(build()(other)[:, 4:8], torch.zeros(2, 4, 108))
    assert torch.equal(build()(clip[:, :, 2]), target[:, 4:8])


def test_norms():
    images = noise(1, 3, 16, 32)
    raw, l1, l2 = (build(norm=norm).cells(images) for norm in ('none', 'l1', 'l2'))
    torch.testing.assert_close(l1, raw / raw.sum(2, keepdim=True))
    torch.testing.assert_close(l2, raw / raw.norm(dim=2, keepdim=True))
    assert raw.max() > 10
    for norm in ('none', 'l1', 'l2'):
        assert not build(norm=norm)(torch.ones(1, 3, 16, 16)).any()


def test_colours():
    images = noise(2, 3, 16, 16)
    red, green, blue = images.unbind(1)
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = build().cells(gray.unsqueeze(1).repeat(1, 3, 1, 1))[:, :1]
    torch.testing.assert_close(build(channels='gray').cells(images), expected)
    assert build(channels='gray').pred_channels == build(channels='gray')(images).shape[-1] == 36
    opponent = torch.stack(
        (
            (red - green) / 2**0.5,
            (red + green - 2 * blue) / 6**0.5,
            (red + green + blue) / 3**0.5,
        ),
        dim=1,
    )
    cells = build(channels='opponent', norm='none').cells(images)
    torch.testing.assert_close(cells, build(norm='none').cells(opponent), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS)
def test_float32_without_gradient(options):
    """Autocast changes nothing, and what comes in half precision is computed in float32."""
    clip = noise(1, 3, 3, 32, 32).bfloat16().float().requires_grad_()
    generator = build(**options)
    target = generator(clip)
    assert target.dtype == torch.float32 and not target.requires_grad
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(generator(clip), target)
    assert torch.equal(generator(clip.bfloat16()), target)
    assert list(generator.parameters()) == [] and generator.state_dict() == {}


def test_frames_are_worked_on_in_chunks(monkeypatch):
    clip = noise(2, 3, 5, 32, 32)
    target = build()(clip)
    sizes = []
    cells = hog_generator.hog_cells
    monkeypatch.setattr(
        hog_generator, 'hog_cells', lambda frames, *args: sizes.append(len(frames)) or cells(frames)
    )
    for budget, chunks in ((1, [1] * 6), (4 * 3 * 32 * 32, [4, 2])):
        sizes.clear()
        monkeypatch.setitem(hog_generator.CHUNK_PIXELS, 'cpu', budget)
        assert torch.equal(build()(clip), target)
        assert sizes == chunks


@NEEDS_PRETENDED_GPU
@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS)
def test_any_device(options):
    """Everything made on the way is made where the clip is (no GPU is needed to tell)."""
    with FakeTensorMode():
        target = build(**options)(torch.empty(1, 3, 4, 32, 32, device='cuda'))
    assert target.device.type == 'cuda'
    assert target.shape[:2] == (1, 8)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('c++') is None, reason='torch.compile needs a C++ compiler')
def test_compiles():
    torch._dynamo.reset()
    generator = build(channels='opponent', gaussian_window=16)
    clip = noise(1, 3, 3, 32, 48)
    target = torch.compile(generator, fullgraph=True)(clip)
    torch.testing.assert_close(target, generator(clip), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(nbins=0), 'nbins .* got 0'),
        (dict(temporal_stride=1.5), 'temporal_stride'),
        (dict(cell_size=6), 'cell_size=6 .* patch_size=16'),
        (dict(gaussian_window=1), 'gaussian_window .* got 1'),
        (dict(channels='hsv'), "channels .* 'hsv'"),
        (dict(norm='l3'), "norm .* 'l3'"),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)
    with pytest.raises(TypeError, match='interpolate_bins'):
        build(interpolate_bins=True)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [((1, 3, 2, 32, 40), '32x40'), ((1, 1, 2, 32, 32), '1 channels'), ((3, 32, 32), '3, 32, 32')],
)
def test_refuses_clips(shape, message):
    with pytest.raises(ValueError, match=message):
        build()(noise(*shape))
