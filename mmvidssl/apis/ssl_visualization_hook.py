"""Hook that draws pictures of a fixed clip while a model trains."""

import os

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmvidssl.engine.hooks.monitor_hooks import untouched
from mmvidssl.engine.utils import unwrap_model
from mmvidssl.models.algorithms import MaskFeat
from mmvidssl.registry import HOOKS
from mmvidssl.visualization import picture_strip

from .pictures import (
    check_draws_targets,
    draw_features,
    draw_masks,
    draw_objects,
    draw_predictions,
    read_footage,
)


@HOOKS.register_module()
class SSLVisualizationHook(Hook):
    """Draw what the model makes of a fixed clip every ``interval`` iterations.

    It draws the objects that DoRA tracks (``objects``), what MaskFeat predicts (``predictions``),
    or patch features of other models in PCA colours (``features``), for all backends of the run's
    visualizer: files, TensorBoard. The main process draws; training is bit for bit the same as
    without the hook.

    Args:
        interval: Iterations from one picture to the next.
        video: The file.
        clip_len: Number of frames; None: 16, rounded up to whole clips of the model.
        frame_interval: Frames of the video from one to the next.
        start: Seconds of the first one.

    Raises:
        ValueError: if ``interval`` is not positive; before training, in all processes, if targets
            of MaskFeat cannot be drawn, its pipeline has no mask, or the video is too short.
    """

    priority = 'LOW'  # after TeacherMomentumHook

    def __init__(
        self,
        interval: int,
        video: str | os.PathLike,
        clip_len: int | None = None,
        frame_interval: int = 4,
        start: float = 0.0,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval must be positive (iterations), got {interval}')
        self.interval = interval
        self.footage = (video, clip_len, frame_interval, start)

    def before_train(self, runner) -> None:
        """Read the clip and check that it can be drawn, in all processes: they fail together."""
        model = unwrap_model(runner.model)
        if isinstance(model, MaskFeat):
            check_draws_targets(model)
            draw_masks(runner.cfg, 1)
        self.frames = read_footage(model, *self.footage).frames

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draw every ``interval`` iterations."""
        if not is_main_process() or not self.every_n_train_iters(runner, self.interval):
            return
        model = unwrap_model(runner.model)
        with untouched(model):
            model.eval()
            if hasattr(model, 'track'):
                name, columns = 'objects', draw_objects(model, self.frames).tracks
            elif isinstance(model, MaskFeat):
                name, columns = 'predictions', draw_predictions(model, self.frames, runner.cfg)
            else:
                name, columns = 'features', draw_features({'features': model}, self.frames)
        runner.visualizer.add_image(name, picture_strip(columns), step=runner.iter + 1)
