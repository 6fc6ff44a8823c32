import pytest
import torch

from mmvidssl.registry import MODELS
from tests.utils_model import noise


def build(**changes):
    return MODELS.build(
        {'type': 'mmvidssl.DistillationTargetGenerator', 'num_prototypes': 5, **changes}
    )


def test_centers_and_sharpens():
    generator = build(teacher_temp=0.5)
    generator.center.copy_(noise(1, 5, seed=1))
    center = generator.center.clone()
    logits = noise(3, 2, 5)
    expected = ((logits - center) / 0.5).exp()
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(generator(logits), expected)


def test_center_in_closed_form():
    generator = build(center_momentum=0.25)
    means = []
    for step in range(4):
        logits = noise(3, 2, 5, seed=step)
        for part in logits.split(1):  # three passes
            generator(part)
        generator.finish_step()
        means.append(logits.flatten(0, 1).mean(0))
    expected = sum(0.25 * 0.75 ** (3 - step) * mean for step, mean in enumerate(means))
    torch.testing.assert_close(generator.center[0], expected)


def test_the_target_comes_before_the_center_moves():
    generator = build(center_momentum=1.0)
    logits = noise(3, 2, 5)
    for _ in range(2):
        torch.testing.assert_close(generator(logits), (logits / 0.04).softmax(-1))
    generator.finish_step()
    torch.testing.assert_close(generator.center[0], logits.flatten(0, 1).mean(0))


def test_evaluation_leaves_the_center():
    generator = build().eval()
    generator(noise(3, 2, 5))
    generator.finish_step()
    assert not generator.center.any()


def test_a_step_under_way_is_saved():
    generator, resumed = build(), build()
    generator(noise(3, 2, 5))
    resumed.load_state_dict(generator.state_dict())
    for part in (generator, resumed):
        part(noise(3, 2, 5, seed=1))
        part.finish_step()
    assert torch.equal(resumed.center, generator.center)


def test_a_center_of_an_earlier_version_is_loaded():
    generator = build()
    generator(noise(3, 2, 5))
    generator.load_state_dict(dict(center=torch.ones(1, 5)))
    generator.finish_step()
    assert torch.equal(generator.center, torch.ones(1, 5))
    with pytest.raises(RuntimeError, match='Missing .*"center", "pass_sum"'):
        generator.load_state_dict({})


def test_no_gradient_and_float32():
    target = build()(noise(3, 2, 5).bfloat16().requires_grad_())
    assert not target.requires_grad
    assert target.dtype == torch.float32
    assert target.shape == (3, 2, 5)


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(center_momentum=1.5), 'center_momentum .* 1.5'),
        (dict(teacher_temp=0.0), 'teacher_temp must be positive'),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_sinkhorn_knopp_gives_every_prototype_an_equal_share():
    logits = noise(3, 2, 5)
    shares = (logits.flatten(0, 1) / 0.5).exp()
    for _ in range(3):  # SwAV's plain form, without logarithms
        shares = shares / shares.sum(0, keepdim=True) / 5
        shares = shares / shares.sum(1, keepdim=True) / 6
    generator = build(centering='sinkhorn_knopp', teacher_temp=0.5)
    target = generator(logits)
    torch.testing.assert_close(target, 6 * shares.view(3, 2, 5))
    torch.testing.assert_close(
        target.flatten(0, 1).sum(0), torch.full((5,), 6 / 5), rtol=0.05, atol=0
    )
    with pytest.raises(ValueError, match='softmax'):
        build(centering='softmax')
