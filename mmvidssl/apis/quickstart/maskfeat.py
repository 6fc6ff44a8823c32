"""MaskFeat's part of the quickstart: its loss beside that of the mean, pictures of HOG."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import nn

from mmvidssl.apis.pictures import draw_targets
from mmvidssl.datasets.clips import ClipIndex
from mmvidssl.models.utils import resize_mask, stack_masks
from mmvidssl.registry import DATASETS
from mmvidssl.visualization import picture_table, plot_curves, read_scalars, write_image

NUM_CLIPS = 60
DRAWN = slice(None, None, 12)
SEED = 2**31 - 1  # of crops and masks, unlike those of training
LEAST_EXPLAINED = 0.05


class MaskFeatDemo:
    """MaskFeat before and after training: loss in masked cells, picture of the predictions.

    The clips are spread evenly over the footage, cropped and masked as in training but anew:
    training has seen these moments, though not these crops with these masks.

    Args:
        cfg: Config of the run, with a ``LongVideoDataset`` and HOG as the target.
        footage: The video, which ``cfg`` names too.
    """

    def __init__(self, cfg: Config, footage: Path) -> None:
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, seed=SEED))
        places = np.linspace(0, len(dataset) - 1, NUM_CLIPS).round().astype(int).tolist()
        self.batch = pseudo_collate([dataset[ClipIndex(place, 0)] for place in places])

    def before(self, model: nn.Module) -> None:
        """Measure the untrained model, in evaluation mode."""
        self.first_loss, self.mean_loss, self.pictures = self._look(model)

    def after(self, model: nn.Module, work_dir: Path) -> dict[str, Any]:
        """Measure the trained model, draw into ``work_dir``, return figures for the summary."""
        last_loss, _, pictures = self._look(model)
        frames, masked, before, true = self.pictures
        columns = {
            'frame': frames,
            'masked': masked,
            'HOG before training': before,
            'HOG after training': pictures[2],
            'true HOG': true,
        }
        write_image(work_dir / 'hog.png', picture_table(columns))
        loss = read_scalars(next(iter(work_dir.glob('*/vis_data/scalars.json'))))['loss']
        curves = {
            'loss in masked places': loss,
            'of predicting the mean HOG': (loss[0], [self.mean_loss] * len(loss[0])),
        }
        plot_curves(work_dir / 'loss_curve.png', curves, 'MaskFeat, quickstart')
        scale = max(self.mean_loss, 1e-12)  # 0 for a video without edges
        return dict(
            first_loss=self.first_loss,
            last_loss=last_loss,
            mean_loss=self.mean_loss,
            first_explained=1 - self.first_loss / scale,
            last_explained=1 - last_loss / scale,
        )

    def describe(self, summary: dict[str, Any]) -> str:
        """Text about the summary, printed at the end."""
        s = summary
        learnt = 'IT LEARNS' if s['last_explained'] > LEAST_EXPLAINED else 'LITTLE LEARNT'
        return f"""
Done in {s['seconds']:.0f} s: {s['iterations']} iterations on {s['footage_seconds']:.1f} s of video.

Loss in masked places of {NUM_CLIPS} clips, crops and masks drawn anew: {learnt}
  before training (random weights) {s['first_loss']:7.4f}   explained {s['first_explained']:7.1%}
  after training                   {s['last_loss']:7.4f}   explained {s['last_explained']:7.1%}
  of predicting the mean HOG       {s['mean_loss']:7.4f}   explained {0:7.1%}
Explained: 1 - loss / the mean's. Healthy: rises above 0 and goes on rising; 100 % is never reached.
Training saw these moments too. One short run on one video is no proof.

In {s['work_dir']}:
  hog.png                frames, what is masked, HOG predicted there before and after training, and
                         the true HOG, which is dimmed where nothing is predicted
  loss_curve.png         loss in training, and that of predicting the mean"""

    @torch.no_grad()
    def _look(self, model: nn.Module) -> tuple[float, float, list[np.ndarray]]:
        """Loss of the model's predictions, loss of the targets' mean, pictures of some clips.

        The pictures, ``(N, H, W, 3)`` uint8 each, are those of :func:`draw_targets`, at the time
        step of each clip that is masked most.
        """
        data = model.data_preprocessor(self.batch)
        clip, mask = data['inputs']['clip'], stack_masks(data['data_samples'])
        pred, grid = model.predict(clip, mask)
        target = model.target_generator(clip)
        masked = resize_mask(mask.to(clip.device), grid)
        wanted = target[masked.flatten(1)]
        loss, mean_loss = (
            model.head.loss(guess, wanted)['loss'].item()
            for guess in (pred[masked.flatten(1)], wanted.mean(dim=0).expand_as(wanted))
        )
        step = masked.flatten(2).sum(dim=2).argmax(dim=1).cpu().numpy()[DRAWN]
        clip, mask, pred, target = (x[DRAWN] for x in (clip, mask, pred, target))
        columns = draw_targets(model, clip, mask, pred, target, grid)
        return loss, mean_loss, [x[range(len(step)), step] for x in columns.values()]
