"""
Objects that DoRA tracks
========================

From attention to masks that follow objects through a clip, with the small DoRA of the repository.
:doc:`/concepts/dora` explains the steps.
"""

from pathlib import Path

import matplotlib.pyplot as plt

import mmvidssl
from mmvidssl.apis import draw_objects, init_model, read_footage, track_objects
from mmvidssl.apis.quickstart import find_sample_video
from mmvidssl.visualization import picture_strip

# sphinx_gallery_thumbnail_number = 3

ROOT = Path(mmvidssl.__file__).parents[1]  # the checkout
model = init_model(
    ROOT / 'configs/dora/dora_vit-nano-p8_1xb8-coslr-5000i_footage.py',
    ROOT / 'projects/small_models/dora.pth',
)
frames = read_footage(model, find_sample_video(), num_frames=4, frame_interval=6).frames
pictures = draw_objects(model, frames)

# %%
# **Attention.** Each head attends to other patches of the first frame. Two heads give a first guess
# of two objects.

plt.figure().figimage(pictures.attention, resize=True)

# %%
# **Assignment.** The patches are shared out among the objects: above by similarity alone, below by
# Sinkhorn-Knopp, which gives more patches to the object that had few.

plt.figure().figimage(pictures.assignment, resize=True)

# %%
# **Tracks.** Each object attends to the patches of every frame; where this attention lies above its
# mean is the object's mask. Object 2 follows the roof of the bus. Object 1 follows nothing: it
# attends to a few scattered patches. Expect no more of a model this small.

plt.figure().figimage(picture_strip(pictures.tracks), resize=True)

# %%
# **Views.** The student sees only what a mask covers, one mask at a time.

plt.figure().figimage(picture_strip(pictures.views), resize=True)

# %%
# The same masks as an array, on the grid of patches:

masks = track_objects(model, frames).masks
print(masks.shape, masks.dtype)  # (objects, frames, h, w)
print('share of the frames:', masks.mean(axis=(1, 2, 3)).round(2))
