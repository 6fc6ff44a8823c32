"""Scripts of ``tools`` in the process of the tests, which has imported everything already."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from unittest import mock

from mmengine.visualization import Visualizer

ROOT = Path(__file__).resolve().parents[1]


def load_tool(name: str | Path) -> ModuleType:
    """``tools/<name>.py`` as a module; it finds those beside it, as on the command line."""
    path = ROOT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.object(sys, 'path', [str(path.parent), *sys.path]):
        spec.loader.exec_module(module)
    return module


@contextmanager
def without_visualizers() -> Iterator[None]:
    """As in a process of its own: MMEngine gives a run the one of the same name, or the newest."""
    classes = [Visualizer]
    for cls in classes:
        classes += cls.__subclasses__()
    with ExitStack() as stack:
        for cls in classes:
            stack.enter_context(mock.patch.dict(cls._instance_dict, clear=True))
        yield


def run_tool(name: str | Path, *arguments: object) -> int:
    """Call its ``main`` as the command line does; returns the exit code."""
    tool = load_tool(name)
    path = ROOT / 'tools' / f'{name}.py'
    with (
        without_visualizers(),
        mock.patch.object(sys, 'argv', [str(path), *map(str, arguments)]),
        mock.patch.object(sys, 'path', [str(path.parent), *sys.path]),
        mock.patch.dict('os.environ', LOCAL_RANK='0'),
        # MMEngine's logger may still write to what an earlier test's output was captured with.
        mock.patch('logging.raiseExceptions', False),
    ):
        try:
            code = tool.main()
        except SystemExit as end:
            code = end.code
    return code or 0
