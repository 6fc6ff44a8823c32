"""Check the data of fine-tuning before training begins."""

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmvidssl.data_checks import check_dataset, leaves, refuse
from mmvidssl.registry import HOOKS

from ..utils import unwrap_model


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Check, before fine-tuning, that data sets are complete and fit the model.

    For data sets of mmaction2, mmdetection, mmsegmentation and mmpretrain; what is refused or
    warned about is listed in ``docs/en/howto/loading.md``. All files are looked for and few are
    opened; a log line per data set sums up. Files that MMEngine reads from elsewhere than the disk
    are skipped. ``tools/datasets/check.py`` opens all files.

    Args:
        num_opened: Number of samples of each data set whose images and masks are opened, evenly
            spaced, first and last included.

    Raises:
        ValueError: if it is not positive.
    """

    REMOVED = dict(num_masks='set num_opened: pictures are opened too')

    def __init__(self, num_opened: int = 20) -> None:
        if num_opened < 1:
            raise ValueError(f'num_opened must be positive, got {num_opened}')
        self.num_opened = num_opened

    def before_run(self, runner) -> None:
        """Check the data sets of the loops that are about to run.

        Raises:
            FileNotFoundError, ValueError: if data cannot be trained on; names them and the file.
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
                subject = check_dataset(dataset, name, model, self.num_opened)
                refuse(subject.place, subject.findings, runner.logger.warning)
                runner.logger.info(subject.line)
