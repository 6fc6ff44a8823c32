"""Frames blurred as a proxy's are."""

import numpy as np

from mmvidssl.apis.proxies.blur import Blurrer


def blur(frames, times, settings):
    """Where frames are blurred, bool ``(T, H, W)``, and the blurrer."""
    before = np.array(frames)
    blurrer = Blurrer(settings)
    blurred = list(blurrer.blur(iter(frames), np.asarray(times)))
    assert np.array_equal(frames, before)
    return np.any(np.array(blurred) != before, axis=-1), blurrer
