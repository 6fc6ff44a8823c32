"""
A target of your own
====================

Let MaskFeat predict something else: a class of ten lines, and two changes of a config.
:doc:`/tutorials/own_parts` goes on from here.
"""

import matplotlib.pyplot as plt
import torch
from mmengine.hub import get_config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmvidssl.apis import init_model
from mmvidssl.apis.quickstart import find_sample_video
from mmvidssl.models.target_generators.base import PatchTargetGenerator
from mmvidssl.registry import MODELS

# sphinx_gallery_thumbnail_number = 2

# %%
# This target is the mean colour of each patch.


@MODELS.register_module()
class PatchColour(PatchTargetGenerator):
    pred_channels = 3

    def generate(self, frames, grid):
        """``(B, t, 3, H, W)`` -> ``(B, t * h * w, 3)``."""
        means = torch.nn.functional.avg_pool2d(frames.flatten(0, 1), self.patch_size)
        return means.unflatten(0, frames.shape[:2]).movedim(2, -1).flatten(1, 3)


# %%
# The quickstart's small model takes it as its target; the neck's output must have as many channels.

cfg = get_config('mmvidssl::maskfeat/maskfeat_mvit-nano_1xb8-coslr-1200i_quickstart.py')
cfg.model.target_generator = dict(type='PatchColour', patch_size=8)
cfg.model.neck.out_channels = 3
torch.manual_seed(0)
model = init_model(cfg).train()

# %%
# The quickest test of a target: on one batch, the loss must fall. ``tools/train.py`` does the same
# with all batches.

loader = cfg.train_dataloader
loader.update(num_workers=0, persistent_workers=False)
loader.dataset.update(data_root='', ann_file='', videos=[str(find_sample_video())], seed=0)
batch = next(iter(Runner.build_dataloader(loader, seed=0)))
optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=2e-3))
losses = [model.train_step(batch, optimizer)['loss'].item() for _ in range(40)]

axes = plt.figure(figsize=(6, 3), layout='constrained').subplots()
axes.plot(losses)
axes.set(xlabel='iteration', ylabel='loss')

# %%
# After these 40 iterations: the first frames of four clips, the colours of the patches that the
# model sees, the same with those that it predicts for hidden patches, and the true ones. It was
# trained on these very clips, so this shows that the target can be learnt, no more.

data = model.eval().data_preprocessor(batch)
clip, mask = data['inputs']['clip'], torch.stack([x.mask for x in data['data_samples']])
pred, grid = model.predict(clip, mask)  # (B, t * h * w, 3) on the grid (t, h, w)
pred, true = (x.unflatten(1, grid)[:, 0] for x in (pred, model.target_generator(clip)))
hidden = mask[:, 0].repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)[..., None]
columns = dict(frame=clip[:, :, 0].movedim(1, -1), seen=true * ~hidden)
columns |= {'seen or predicted': torch.where(hidden, pred, true), 'true': true}

_, axes = plt.subplots(4, 4, figsize=(8, 8.3), layout='constrained')
for column, (name, pictures) in zip(axes.T, columns.items(), strict=True):
    column[0].set_title(name)
    for axis, picture in zip(column, pictures[:4], strict=True):
        axis.imshow((picture / 4 + 0.5).clamp(0, 1))  # normalised: mean 128, std 64
        axis.axis('off')
