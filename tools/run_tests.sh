#!/usr/bin/env bash
# Run the tests, installing what is missing first. Arguments go to pytest:
#
#   bash tools/run_tests.sh                              everything
#   bash tools/run_tests.sh -m 'not slow'                the quick ones
#   bash tools/run_tests.sh -n 0 tests/test_models -x    one folder, without worker processes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tools/install.sh
python="$(bash tools/install.sh --where)/bin/python"
"$python" -m pip install -q --disable-pip-version-check -r requirements/tests.txt
"$python" -m pip install -q --disable-pip-version-check --no-deps -r requirements/tests-no-deps.txt

workers="$(env -u OMP_NUM_THREADS nproc)"  # nproc believes that variable
# One thread a worker: two workers with two threads each are slower than either alone.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" MPLBACKEND=Agg
exec "$python" -m pytest -n "$((workers < 4 ? workers : 4))" --dist worksteal "$@"
