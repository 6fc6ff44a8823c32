"""Checkpoints that open anywhere."""

from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper

from mmvidssl.registry import HOOKS

from ..checkpoint import check_checkpoint_fits, pack_message_hub, unpack_message_hub


@HOOKS.register_module()
class PlainCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, whose files hold plain data and are never half written.

    MMEngine 0.10 stores objects that ``torch.load(weights_only=True)`` refuses (the default since
    torch 2.6), so that its own ``resume`` fails. Files are written to a temporary name, synced and
    renamed. A checkpoint of another architecture is refused when it is loaded or resumed.

    Args:
        **kwargs: As MMEngine's ``CheckpointHook`` takes.
    """

    def __init__(self, *args, backend_args: dict | None = None, **kwargs) -> None:
        backend_args = backend_args or dict(backend='atomic')
        super().__init__(*args, backend_args=backend_args, **kwargs)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Make the message hub plain."""
        checkpoint['message_hub'] = pack_message_hub(checkpoint['message_hub'])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check that the weights fit and restore the message hub.

        Raises:
            ValueError: if the checkpoint is of another architecture.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state_dict = checkpoint.get('state_dict', checkpoint)
        check_checkpoint_fits(state_dict, model, allow_missing=not runner._resume)
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = unpack_message_hub(checkpoint['message_hub'])
