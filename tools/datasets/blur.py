"""Make proxies in which faces are blurred: ``make_proxy.py --blur``. See docs/en/proxies.md."""

import sys

import make_proxy


def main() -> int:
    return make_proxy.main(['--blur', *sys.argv[1:]])


if __name__ == '__main__':
    sys.exit(main())
