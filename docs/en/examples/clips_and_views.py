"""
Clips and views of DoRA
=======================

DoRA trains on clips of one long video. This shows the views of a clip that teacher and
student get.
"""

import matplotlib.pyplot as plt
import torch
from mmengine.hub import get_config

from mmvidssl.apis.quickstart import find_sample_video
from mmvidssl.registry import DATASETS
from mmvidssl.visualization import picture_table

# sphinx_gallery_thumbnail_number = 2

# %%
# The data set has one sample for each frame at which a clip can start. Its pipeline is that of the
# paper's ViT-S/16.

cfg = get_config('mmvidssl::dora/dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice.py')
dataset = DATASETS.build(
    dict(
        type='LongVideoDataset',
        videos=[str(find_sample_video())],
        clip_len=6,
        frame_interval=0.25,  # seconds; the paper takes 8 frames, 1 second apart
        pipeline=cfg.train_pipeline,
        seed=0,
        test_mode=True,  # the same views each time
    )
)
print(len(dataset), 'clips')

# %%
# Augmentation is random: without ``test_mode``, each call draws other views.

sample = dataset[145]
global_view = sample['inputs']['global_clip']  # (C, T, H, W) uint8
local_views = torch.stack(sample['inputs']['local_clips'])  # (V, C, T, H, W)
names = [f'frame {i}' for i in sample['data_samples'].frame_inds]


def show(views):
    """Draw views ``(V, C, T, H, W)``, each as a row."""
    frames = views.permute(2, 0, 3, 4, 1).numpy()
    picture = picture_table(dict(zip(names, frames, strict=True)))
    plt.figure().figimage(picture, resize=True)


# %%
# The teacher gets the **global view**; the student gets it with all but one object masked
# (:doc:`the next example <dora_tracking>`). It is cropped alike in all frames, so that objects can
# be followed. Colours change from frame to frame.

show(global_view[None])

# %%
# Only the student gets the **local views**. They are small, and cropped differently in each frame.

show(local_views)
