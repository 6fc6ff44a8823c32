"""Check the data of fine-tuning before training begins."""

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmvidssl.data_checks import check_dataset, leaves
from mmvidssl.registry import HOOKS

from ..utils import unwrap_model


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Refuse to fine-tune on data that are not there, or do not fit the model.

    For data sets of mmaction2, mmdetection, mmsegmentation and mmpretrain; what is refused is
    listed in ``docs/en/loading.md``. All files are looked for and none is opened but some masks; a
    line says what was found. Files that another backend of MMEngine than the disk reads are left
    out.

    Args:
        num_masks: How many segmentation masks of each data set to open, evenly spaced, first and
            last included.

    Raises:
        ValueError: if it is not positive.
    """

    def __init__(self, num_masks: int = 20) -> None:
        if num_masks < 1:
            raise ValueError(f'num_masks must be positive, got {num_masks}')
        self.num_masks = num_masks

    def before_run(self, runner) -> None:
        """Check the data sets of the loops that are about to run.

        Raises:
            FileNotFoundError, ValueError: as :func:`check_dataset`.
        """
        model = unwrap_model(runner.model)
        for part in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{part}_loop')
            if not isinstance(loop, BaseLoop):  # not built: not to be run
                continue
            for dataset in leaves(loop.dataloader.dataset):
                name = f'{part}_dataloader.dataset'
                if not isinstance(dataset, BaseDataset):
                    runner.logger.warning(
                        f'{name}: a {type(dataset).__name__} is not checked, it is no BaseDataset'
                    )
                    continue
                runner.logger.info(check_dataset(dataset, name, model, self.num_masks))
