#!/usr/bin/env bash
# Test on the GPUs of a machine: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py ...]
# Several nodes: run it on each, with the same NNODES, MASTER_ADDR and PORT, and NODE_RANK 0, 1, ...
set -euo pipefail

if [[ $# -lt 3 ]]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py ...]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$HERE/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
