"""Convert a checkpoint of DoRA, DINO, iBOT or DINOv2; see mmvidssl.apis.convert_checkpoint."""

import sys

from mmvidssl.apis import convert_checkpoint
from mmvidssl.apis.convert_cli import run_converter


def main() -> int:
    return run_converter(convert_checkpoint, __doc__)


if __name__ == '__main__':
    sys.exit(main())
