"""Make proxies with blurred faces, as ``make_proxy.py --blur``: docs/en/howto/proxies.md."""

import sys

import make_proxy


def main() -> int:
    return make_proxy.main(['--blur', *sys.argv[1:]])


if __name__ == '__main__':
    sys.exit(main())
