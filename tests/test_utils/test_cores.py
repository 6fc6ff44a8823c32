import os
import subprocess
import sys

import pytest

SCRIPT = 'from mmvidssl.utils.cores import num_cores; print(num_cores())'


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
