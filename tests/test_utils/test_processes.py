import torch

from mmvidssl.utils.processes import leave_group


def test_leave_group(tmp_path):
    leave_group()  # of a run that has none
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/meet', rank=0, world_size=1
    )
    leave_group()
    assert not torch.distributed.is_initialized()
