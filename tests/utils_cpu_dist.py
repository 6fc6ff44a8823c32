"""Imported by a config: what MMEngine 0.10 lacks to run several processes without a GPU."""

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODEL_WRAPPERS

# MMEngine calls it for every backend.
torch.cuda.set_device = lambda device: None


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's wrapper without the device that its runner hands over."""

    def __init__(self, module, device_ids=None, **kwargs) -> None:
        super().__init__(module, broadcast_buffers=False, **kwargs)
