"""Are these the samples that a position was counted in?"""

from torch.utils.data import DataLoader, Sampler

MAX_SHOWN = 3


def data_fingerprint(dataloader: DataLoader, sampler: Sampler) -> dict:
    """What decides which samples an epoch has, seeds aside, as plain data.

    That of the data set is the dict that its method ``fingerprint`` returns, if it has one.
    """
    dataset = dataloader.dataset
    return dict(
        shuffle=getattr(sampler, 'shuffle', None),
        num_streams=getattr(sampler, 'num_streams', None),
        num_samples_per_epoch=getattr(sampler, 'num_samples_per_epoch', None) or len(dataset),
        **(dataset.fingerprint() if hasattr(dataset, 'fingerprint') else {}),
    )


def describe_differences(then: dict, now: dict) -> list[str]:
    """A phrase for each entry that both fingerprints have and that differs."""
    return [
        f'{key} was {_shorten(then[key], now[key])}, is {_shorten(now[key], then[key])}'
        for key in then
        if key in now and then[key] != now[key]
    ]


def _shorten(value, other) -> str:
    """Of a list, the entries that the other one has not in their place."""
    if not isinstance(value, list) or not isinstance(other, list):
        return str(value)
    differing = [item for i, item in enumerate(value) if other[i : i + 1] != [item]]
    more = f' and {len(differing) - MAX_SHOWN} more' if len(differing) > MAX_SHOWN else ''
    return (', '.join(str(item) for item in differing[:MAX_SHOWN]) or 'fewer') + more
