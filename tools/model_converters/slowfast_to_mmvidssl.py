"""Convert a checkpoint of MaskFeat from PySlowFast; see mmvidssl.apis.convert_slowfast."""

import sys

from mmvidssl.apis import convert_slowfast
from mmvidssl.apis.convert_cli import run_converter


def main() -> int:
    return run_converter(convert_slowfast, __doc__)


if __name__ == '__main__':
    sys.exit(main())
