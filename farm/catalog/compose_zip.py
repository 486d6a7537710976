"""The farm's own composing modules as one file that Python runs: `compose.pyz`, which needs numpy and nothing else.

Conventions
-----------
The archive holds what `farm.catalog.compose_app` imports of the farm, and what that imports: found in the sources,
so there is no second list and no second copy of the code. Entries are stored, not compressed, in the order of their
names and with one fixed date: equal sources are equal bytes, whatever zlib there is.
"""

import ast
import importlib
import io
import zipfile
from pathlib import Path

NAME = "compose.pyz"

_ROOT, _FIRST = "farm.catalog.compose_app", "farm.composing.threads"
_MAIN = f"""\
import sys

from {_FIRST} import use_one_thread

use_one_thread()
from {_ROOT} import main

sys.exit(main())
"""
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can hold


def compose_zip() -> bytes:
    """Return the bytes of the program."""
    sink = io.BytesIO()
    files = {"__main__.py": _MAIN.encode(), **sources()}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3  # else the machine's own would be named
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return sink.getvalue()


def sources() -> dict[str, bytes]:
    """Return the sources that composing needs, by their path in the archive."""
    home = Path(str(importlib.import_module("farm").__file__)).parent
    found: dict[str, bytes] = {}
    waiting = [_ROOT, _FIRST]
    while waiting:
        module = waiting.pop()
        path = "/".join(module.split(".")) + ".py"
        if path in found:
            continue
        found[path] = (home.parent / path).read_bytes()
        waiting += _imported(found[path])
        for folder in Path(path).parents[:-1]:
            package = f"{folder.as_posix()}/__init__.py"
            found[package] = (home.parent / package).read_bytes()
    return found


def _imported(source: bytes) -> list[str]:
    """Return the modules of the farm that a source imports, wherever in it."""
    nodes = ast.walk(ast.parse(source))
    names = (node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module)
    return [name for name in names if name.startswith("farm.")]
