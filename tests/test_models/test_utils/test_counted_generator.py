import torch

from mmvidssl.models.utils import counted_generator


def test_draws_follow_seed_and_count():
    draws = {
        (seed, count): torch.rand(3, generator=counted_generator(seed, count))
        for seed in (0, 1)
        for count in (0, 1)
    }
    for key, draw in draws.items():
        assert torch.equal(draw, torch.rand(3, generator=counted_generator(*key)))
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == 4
