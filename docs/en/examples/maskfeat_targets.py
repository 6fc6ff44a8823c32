"""
Masks and targets of MaskFeat
=============================

MaskFeat hides a part of a clip, and predicts histograms of oriented gradients (HOG) there.
:doc:`/concepts/maskfeat` explains why.
"""

import matplotlib.pyplot as plt
from mmengine.hub import get_config

from mmvidssl.apis.quickstart import find_sample_video
from mmvidssl.registry import DATASETS, MODELS
from mmvidssl.visualization import draw_hog, overlay_masks, picture_table

# %%
# A clip and its mask, from the pipeline of the paper's MViTv2-S. The mask is drawn on a coarse
# grid: one of its cells covers 2 frames of 32 x 32 pixels.

cfg = get_config('mmvidssl::maskfeat/maskfeat_mvit-small_8xb32-amp-coslr-300e_k400.py')
video = find_sample_video()
dataset = DATASETS.build(
    dict(
        type='VideoListDataset',
        data_prefix=dict(video=str(video.parent)),  # all videos of a folder
        pipeline=cfg.train_pipeline,
        seed=1,
        test_mode=True,  # the same clip and mask each time
    )
)
sample = dataset[1]  # bikes.mp4, the second file of the folder
clip = sample['inputs']['clip']  # (C, T, H, W) uint8
mask = sample['data_samples'].mask  # (t, h, w) bool, True = hidden
print(tuple(clip.shape), tuple(mask.shape), f'{mask.float().mean():.0%} hidden')

# %%
# A token stands for 2 frames of 16 x 16 pixels. Its target is the HOG of the first of them: 9
# directions, 2 x 2 cells, 3 colours.

generator = MODELS.build(cfg.model.target_generator)
target = generator(clip[None].float())
print(tuple(target.shape))  # (B, t * h * w, 108)

# %%
# HOG is drawn as strokes along the edges, averaged over the colours. Where the clip is grey, the
# model must predict it.

cells = generator.as_cells(target, grid=(8, 14, 14))[0].mean(dim=1)  # (t, bins, h, w)
strokes = draw_hog(cells.movedim(1, -1).numpy(), cell_size=8)
frames = clip[:, ::2].permute(1, 2, 3, 0).numpy()
masked = overlay_masks(frames, mask[None].numpy(), palette=((128, 128, 128),), opacity=1)
columns = dict(frame=frames, masked=masked, HOG=strokes[..., None].repeat(3, axis=-1))
picture = picture_table({name: pictures[[0, 3, 6]] for name, pictures in columns.items()})
plt.figure().figimage(picture, resize=True)
