"""CorLoc of samples whose boxes are known."""

import pytest
import torch
from mmengine.evaluator import Evaluator

from mmvidssl.evaluation import DiscoveryMetric
from mmvidssl.structures import VidSSLDataSample

SIZE = (70, 90)  # of 5 x 6 patches of 16 pixels, the last cut


def sample(name, boxes, rows=slice(3, 5), columns=slice(4, 6)):
    """A picture in which all methods find the patches of some rows and columns."""
    key = torch.ones(5, 6, 3)
    key[rows, columns] = torch.tensor([-1.0, 0.1, 0.0])
    attention = torch.full((6, 5, 6), 1e-3)
    attention[0, 0, 0] = 2
    attention[4, rows, columns] = 1
    attention[4, 4, 0] = 1.01  # a last component, which published numbers leave out
    return VidSSLDataSample(
        metainfo=dict(img_path=name, boxes=boxes), key=key[None], attention=attention[None]
    )


def evaluate(metric, samples):
    evaluator = Evaluator(metric)
    batch = dict(inputs=[torch.zeros(3, *SIZE, dtype=torch.uint8) for _ in samples])
    evaluator.process(samples, batch)
    return evaluator.evaluate(len(samples))


CUT = [64, 48, 90, 70]  # of what is found, at the picture's edge


def test_boxes_end_with_the_picture_and_a_half_overlap_is_enough():
    x0, y0, x1, y1 = CUT
    tall = [x0, y1 - 2 * (y1 - y0), x1, y1]  # twice as high as the part of the picture
    samples = [sample('a', [[0, 0, 9, 9], tall]), sample('b', [[0, 0, 9, 9]]), sample('c', [])]
    found = evaluate(DiscoveryMetric(patch_size=16), samples)
    expected = pytest.approx(100 / 3)
    assert found == {f'corloc/{m}': expected for m in ('lost', 'tokencut', 'attention')}


def test_a_picture_counts_once_in_whatever_order():
    """Samplers of several processes repeat some."""
    metric = DiscoveryMetric(patch_size=16)
    batch = dict(inputs=[torch.zeros(3, *SIZE)] * 2)
    metric.process(batch, [sample('a', [CUT]).to_dict(), sample('b', []).to_dict()])
    one, other = metric.results
    assert one == dict(name='a', values=dict(lost=100, tokencut=100, attention=100))
    for results in ([one, other], [other, one, one], [other, other, one]):
        assert set(metric.compute_metrics(results).values()) == {50.0}


@pytest.mark.parametrize(
    ('options', 'hit'),
    [({}, 1), (dict(head=0), 0), (dict(head=None), 0), (dict(as_published=False), 1)],
)
def test_attention_is_that_of_the_head_that_is_asked_for(options, hit):
    metric = DiscoveryMetric(patch_size=16, **options)
    assert evaluate(metric, [sample('a', [CUT])])['corloc/attention'] == 100 * hit


@pytest.mark.parametrize('options', [dict(patch_size=8), dict(patch_size=16, head=6)])
def test_another_model_is_refused(options):
    name, value = [*options.items()][-1]
    with pytest.raises(ValueError, match=f'{name}={value}'):
        evaluate(DiscoveryMetric(**options), [sample('a', [])])
