"""The processes of a run."""

from datetime import timedelta

from mmengine.config import Config
from mmengine.device import get_device
from torch import distributed


def join_group_without_gpu(cfg: Config) -> None:
    """Join the other processes over gloo, where there is no GPU.

    MMEngine's runner, which finds them joined, would ask for CUDA to do so and to wrap the model.

    Args:
        cfg: Of the run; changed in place: how the model is wrapped.
    """
    if cfg.launcher != 'pytorch' or get_device() != 'cpu':
        return
    seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    distributed.init_process_group('gloo', timeout=timedelta(seconds=seconds))
    unused = cfg.get('find_unused_parameters', False)
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=unused
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def leave_group() -> None:
    """Leave the group of processes, if there is one: for the end of a run that succeeded.

    PyTorch asks for it: without it one that leaves first may end the others in an abort.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
