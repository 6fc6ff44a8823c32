import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils._python_dispatch import TorchDispatchMode

from mmvidssl.registry import MODELS
from mmvidssl.structures import VidSSLDataSample

MEAN, STD = [10.0, 20.0, 30.0], [1.0, 2.0, 4.0]


def build(**cfg):
    return MODELS.build({'type': 'mmvidssl.ClipDataPreprocessor', 'mean': MEAN, 'std': STD, **cfg})


def pixels(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def sample(seed, num_locals=2):
    views = [pixels(seed + 1 + v, 3, 2, 4, 4) for v in range(num_locals)]
    inputs = dict(global_clip=pixels(seed, 3, 2, 8, 8), local_clips=views)
    return dict(inputs=inputs, data_samples=VidSSLDataSample(metainfo=dict(video_index=seed)))


def expected(clip):
    planes = [(clip[c].float() - MEAN[c]) / STD[c] for c in range(3)]
    return torch.stack(planes)


def test_collated_samples():
    samples = [sample(0), sample(10), sample(20)]
    out = build()(pseudo_collate(samples), training=True)
    inputs = out['inputs']
    assert inputs['global_clip'].shape == (3, 3, 2, 8, 8)
    assert [view.shape for view in inputs['local_clips']] == [(3, 3, 2, 4, 4)] * 2
    for b, one in enumerate(samples):
        torch.testing.assert_close(inputs['global_clip'][b], expected(one['inputs']['global_clip']))
        for v, view in enumerate(one['inputs']['local_clips']):
            torch.testing.assert_close(inputs['local_clips'][v][b], expected(view))
    assert [s.video_index for s in out['data_samples']] == [0, 10, 20]


def test_batched_views_and_no_data_samples():
    clips = pixels(0, 2, 3, 2, 4, 4)
    inputs = dict(clip=clips, local_clips=[clips, clips + 1], extra_global_clips=[])
    out = build()(dict(inputs=inputs))
    torch.testing.assert_close(out['inputs']['clip'][1], expected(clips[1]))
    torch.testing.assert_close(out['inputs']['local_clips'][1][0], expected(clips[0] + 1))
    assert out['inputs']['extra_global_clips'] == []
    assert out['data_samples'] is None


def test_float_clips_are_normalised_alike():
    clips = pixels(0, 2, 3, 2, 4, 4)
    inputs = [build()(dict(inputs=dict(clip=c)))['inputs']['clip'] for c in (clips, clips.float())]
    assert torch.equal(*inputs)


def test_refuses_clips_of_different_shapes():
    samples = [sample(0), sample(1)]
    samples[1]['inputs']['local_clips'][1] = pixels(0, 3, 2, 6, 6)
    with pytest.raises(ValueError, match=r"'local_clips' .*\(3, 2, 6, 6\)"):
        build()(pseudo_collate(samples))


def test_refuses_a_mean_without_std():
    with pytest.raises(ValueError, match='one value a channel'):
        build(std=[1.0])


def test_statistics_are_not_in_the_checkpoint():
    assert not build().state_dict()


def test_clips_are_stacked_on_the_device():
    """What a loader has pinned is copied without waiting; a stack of it would not be pinned."""

    class OpsOnTheCPU(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.device.type == 'cpu':
                names.add(str(func))
            return out

    names: set[str] = set()
    preprocessor = build().to('meta')
    batch = pseudo_collate([sample(0), sample(10)])
    with OpsOnTheCPU():
        out = preprocessor(batch, training=True)
    assert out['inputs']['global_clip'].shape == (2, 3, 2, 8, 8)
    assert names == set()
