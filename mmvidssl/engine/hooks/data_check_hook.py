"""Data that are there and fit the model, or training that does not begin."""

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmvidssl.registry import HOOKS

from ..data_check import DataCheck, leaves
from ..utils import unwrap_model


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Check the data of fine-tuning before the first iteration.

    For data sets of mmaction2, mmdetection, mmsegmentation and mmpretrain. Refused are: a data set
    without samples; files (videos, images, masks) that do not exist; heads, or a mixup, whose
    ``num_classes`` is not the data set's number of classes; classes that are no category of a COCO
    annotation file, or in another order; labels that are no class; lists of videos with names of
    classes whose labels mean others, or leave a class without a video to train on; segmentation
    masks with values that are no class, or with several channels. All files are looked for, by
    listing their folders, and not opened, but for some masks; a line says what was found. Files
    that another backend of MMEngine than the disk reads are left out.

    Args:
        num_masks: How many segmentation masks of each data set to open, evenly spaced, first and
            last included.

    Raises:
        ValueError: if it is not positive.
    """

    def __init__(self, num_masks: int = 20) -> None:
        if num_masks < 1:
            raise ValueError(
                f'num_masks must be positive, got {num_masks}; leave out DataCheckHook to check '
                'nothing'
            )
        self.num_masks = num_masks

    def before_run(self, runner) -> None:
        """Check the data sets of the loops that are about to run.

        Raises:
            FileNotFoundError, ValueError: as :meth:`DataCheck.run`.
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
                runner.logger.info(DataCheck(dataset, name, self.num_masks).run(model))
