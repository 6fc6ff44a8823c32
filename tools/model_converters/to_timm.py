"""Write a ViT as timm loads it; see mmvidssl.apis.export_to_timm."""

import sys

from mmvidssl.apis import export_to_timm
from mmvidssl.apis.export_cli import run_exporter


def main() -> int:
    return run_exporter(export_to_timm, __doc__, 'the new file, ending in .pth or .safetensors')


if __name__ == '__main__':
    sys.exit(main())
