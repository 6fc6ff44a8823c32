"""Write a ViT as transformers loads it; see mmvidssl.apis.export_to_hf."""

import sys

from mmvidssl.apis import export_to_hf
from mmvidssl.apis.export_cli import run_exporter


def main() -> int:
    return run_exporter(export_to_hf, __doc__, 'the new folder')


if __name__ == '__main__':
    sys.exit(main())
