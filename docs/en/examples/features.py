"""
Features of a frozen backbone
=============================

Load a pretrained model, and look at its features of patches and of whole frames.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

import mmvidssl
from mmvidssl.apis import (
    Sampling,
    draw_features,
    draw_neighbors,
    extract_features,
    init_model,
    read_footage,
)
from mmvidssl.apis.quickstart import find_sample_video
from mmvidssl.visualization import picture_strip

ROOT = Path(mmvidssl.__file__).parents[1]  # the checkout
CONFIG = ROOT / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-5000i_footage.py'
torch.manual_seed(0)
models = {
    'random weights': init_model(CONFIG),
    'DoRA': init_model(CONFIG, ROOT / 'projects/small_models/dora.pth'),
}

# %%
# **Patches.** Red, green and blue are the first three principal components of both models' patch
# features: within a column, patches of the same colour have similar features. Random weights tell
# patches apart, too, by their colours; only
# :doc:`measurements </repository/projects/small_models/README>` show what training adds (J&F 54.3,
# against 42.2 to 44.3).

video = find_sample_video()
frames = read_footage(models['DoRA'], video, num_frames=4, frame_interval=6).frames
plt.figure().figimage(picture_strip(draw_features(models, frames)), resize=True)

# %%
# **Frames.** Classifiers and search use one feature of each frame, the class token. Here, of one
# frame every quarter of a second.

found = extract_features(models['DoRA'], video, sampling=Sampling(every=0.25), show_progress=False)
print(found.features.shape)

# %%
# On the left three frames, then those with the most similar features, at least a second away.

picture = draw_neighbors(found, video, num_queries=3, num=4, gap=1.0)
plt.figure().figimage(picture, resize=True)
