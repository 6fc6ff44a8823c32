"""Freezing the prototypes (DINO's last layer) at the beginning of training."""

from mmengine.hooks import Hook

from mmvidssl.registry import HOOKS

from ..utils import check_loop_counts_epochs, first_pass_of_step, unwrap_model


@HOOKS.register_module()
class FreezeLastLayerHook(Hook):
    """Freeze the prototypes (DINO's last layer) at the beginning of training.

    Their gradients are computed and dropped right before each optimizer step, so that they are
    neither updated nor decayed and their moments stay empty. ``requires_grad`` is not changed,
    because distributed wrappers, which are built before, rely on it.

    Args:
        num_epochs: Length of the freeze in epochs or, with ``by_epoch=False``, iterations.
        by_epoch: The unit.
        prefix: Name of the layer in the model.
        max_share: Longest freeze as a share of the run.

    Source: DINO, appendix "Implementation details".
    """

    def __init__(
        self,
        num_epochs: int = 1,
        by_epoch: bool = True,
        prefix: str = 'neck.last_layer',
        max_share: float = 0.1,
    ) -> None:
        if num_epochs < 0:
            raise ValueError(f'num_epochs must not be negative, got {num_epochs}')
        self.num_epochs = num_epochs
        self.by_epoch = by_epoch
        self.prefix = prefix
        self.max_share = max_share

    def before_train(self, runner) -> None:
        """Register the optimizer hook that drops the gradients.

        Raises:
            ValueError: if the model has no such layer, or the loop no epochs.
        """
        if self.by_epoch and self.num_epochs:
            check_loop_counts_epochs(runner, f'FreezeLastLayerHook(num_epochs={self.num_epochs})')
        model = unwrap_model(runner.model)
        frozen = [p for name, p in model.named_parameters() if name.startswith(f'{self.prefix}.')]
        if not frozen:
            raise ValueError(
                f'FreezeLastLayerHook(prefix={self.prefix!r}) finds no parameter of that name in '
                f'{type(model).__name__}. Its children are '
                f'{[name for name, _ in model.named_children()]}.'
            )

        unit = len(runner.train_dataloader) if self.by_epoch else 1
        num_iters = min(self.num_epochs * unit, round(self.max_share * runner.max_iters))

        def drop_gradients(*args) -> None:
            if first_pass_of_step(runner) < num_iters:
                for parameter in frozen:
                    parameter.grad = None

        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(drop_gradients)

    def after_train(self, runner) -> None:
        """Remove the optimizer hook."""
        self._handle.remove()
