"""The package's version, read by ``setup.py`` without importing the package."""

__version__ = '0.1.0'


def parse_version_info(version: str) -> tuple[int, ...]:
    """``'0.1.0'`` -> ``(0, 1, 0)``; a suffix such as ``rc1`` is left out."""
    release = version.split('rc')[0].split('.dev')[0]
    return tuple(int(part) for part in release.split('.'))


version_info = parse_version_info(__version__)
