import numpy as np
import pytest
import torch

from mmvidssl.datasets.transforms import PackClipInputs
from mmvidssl.structures import VidSSLDataSample


def test_packs_a_plain_clip(clip):
    packed = PackClipInputs()(dict(clip=clip))
    tensor = packed['inputs']['clip']
    assert set(packed) == {'inputs', 'data_samples'}
    assert tensor.shape == (3, 4, 48, 64)
    assert tensor.is_contiguous()
    assert torch.equal(tensor, torch.from_numpy(clip).permute(3, 0, 1, 2))


def test_packs_views(clip):
    views = dict(global_clip=clip, local_clips=[clip[:, :16], clip[:, :, :16]])
    inputs = PackClipInputs()(views)['inputs']
    assert list(inputs) == ['global_clip', 'local_clips']
    assert [tuple(view.shape) for view in inputs['local_clips']] == [(3, 4, 16, 64), (3, 4, 48, 16)]
    assert torch.equal(
        inputs['local_clips'][1], torch.from_numpy(clip[:, :, :16]).permute(3, 0, 1, 2)
    )
    inputs = PackClipInputs()(dict(views, extra_global_clips=[clip]))['inputs']
    assert [tuple(view.shape) for view in inputs['extra_global_clips']] == [(3, 4, 48, 64)]


def test_keeps_meta_information(clip):
    results = dict(clip=clip, video_path='a.mp4', frame_inds=np.array([1, 2]), fps=5.0, rng=None)
    sample = PackClipInputs()(results)['data_samples']
    assert isinstance(sample, VidSSLDataSample)
    assert sample.metainfo == dict(video_path='a.mp4', frame_inds=[1, 2], fps=5.0)


def test_nothing_to_pack():
    with pytest.raises(KeyError, match='DecodeClip'):
        PackClipInputs()(dict(fps=5.0))


def test_packs_mask_and_label(clip):
    mask = np.zeros((2, 3, 4), dtype=np.bool_)
    mask[0, 1:] = True
    sample = PackClipInputs()(dict(clip=clip, mask=mask, label=3, img_path='a.jpg'))['data_samples']
    assert sample.mask.dtype == torch.bool
    assert np.array_equal(sample.mask.numpy(), mask)
    assert sample.metainfo == dict(label=3, img_path='a.jpg')
    assert 'mask' not in PackClipInputs()(dict(clip=clip))['data_samples']
