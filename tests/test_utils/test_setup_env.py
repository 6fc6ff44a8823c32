import os
import subprocess
import sys

import pytest
import torch

from mmvidssl.utils.setup_env import leave_group

SCRIPT = 'from mmvidssl.utils.setup_env import num_cores; print(num_cores())'


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='only Linux binds to cores')
def test_num_cores_are_those_that_may_be_used():
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, '-c', f'import os; os.sched_setaffinity(0, [{core}]); {SCRIPT}'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ['1']


def test_leave_group(tmp_path):
    leave_group()  # of a run that has none
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/meet', rank=0, world_size=1
    )
    leave_group()
    assert not torch.distributed.is_initialized()
