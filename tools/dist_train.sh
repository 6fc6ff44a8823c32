#!/usr/bin/env bash
# Train on the GPUs of a machine: bash tools/dist_train.sh CONFIG GPUS [arguments of train.py ...]
# GPUS is the number of processes, one per GPU; without a GPU they all run on the CPU.
# Several nodes: run it on each, with the same NNODES, MASTER_ADDR and PORT, and NODE_RANK 0, 1, ...
set -euo pipefail

if [[ $# -lt 2 ]]; then
    echo "usage: bash tools/dist_train.sh CONFIG GPUS [arguments of train.py ...]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$HERE/train.py" "$CONFIG" --launcher pytorch "${@:3}"
