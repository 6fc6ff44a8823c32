"""Fingerprint of the training data, which tells whether a saved position in it is still valid."""

from torch.utils.data import DataLoader, Sampler

from mmvidssl.utils.listing import some

# Ends of the names of proxies: of earlier versions, and of this one.
OLD_PROXY_SUFFIX, PROXY_SUFFIX = '.frames', '.proxy.mp4'


def data_fingerprint(dataloader: DataLoader, sampler: Sampler) -> dict:
    """All that decides which samples an epoch has, except seeds, as plain data.

    The data set contributes the dict that its method ``fingerprint`` returns, if it has one.
    """
    dataset = dataloader.dataset
    return dict(
        shuffle=getattr(sampler, 'shuffle', None),
        order_kind=getattr(sampler, 'order_kind', None),
        num_streams=getattr(sampler, 'num_streams', None),
        num_samples_per_epoch=getattr(sampler, 'num_samples_per_epoch', None) or len(dataset),
        **(dataset.fingerprint() if hasattr(dataset, 'fingerprint') else {}),
    )


def has_same_order(then: dict, now: dict) -> bool:
    """Whether a position within an epoch is the same sample by both fingerprints.

    Earlier versions saved no ``order_kind``: they shuffled in another way, and with
    ``clips_per_seek`` counted several clips as one sample.
    """
    if then.get('clips_per_seek', 1) > 1:
        return False
    if 'order_kind' not in then:
        return now['order_kind'] != 'torch.randperm'  # other orders have not changed
    return then['order_kind'] == now['order_kind']


def describe_differences(then: dict, now: dict) -> list[str]:
    """A phrase for each entry that differs, if both fingerprints have it, except the order."""
    then = dict(then)
    if isinstance(then.get('videos'), list):  # each a file's name and its number of frames
        then['videos'] = [
            [name.replace(OLD_PROXY_SUFFIX, PROXY_SUFFIX), *frames]
            for name, *frames in then['videos']
        ]
    ignored = {'order_kind'}
    if then.get('clips_per_seek', 1) > 1:
        ignored.add('num_samples_per_epoch')  # counted in groups of clips
    return [
        f'{key} was {_shorten(then[key], now[key])}, is {_shorten(now[key], then[key])}'
        for key in then
        if key in now and key not in ignored and then[key] != now[key]
    ]


def _shorten(value, other) -> str:
    """Text of a value; of a list, only the entries that differ from the other list's."""
    if not isinstance(value, list) or not isinstance(other, list):
        return str(value)
    differing = [item for i, item in enumerate(value) if other[i : i + 1] != [item]]
    return some(differing) or 'fewer'
