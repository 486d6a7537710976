"""The temporary folders of the farm's own Rays: made by a run, removed by it, or by the next when it was killed.

Conventions
-----------
A folder's name holds the id of the process it belongs to. An id that was given again to another process keeps a
folder until that one has ended too.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

_NAME = re.compile(r"farm-ray-([1-9]\d{0,8})-.+")


def make_folder() -> Path:
    """Return a new folder for the Ray of this process."""
    return Path(tempfile.mkdtemp(prefix=f"farm-ray-{os.getpid()}-"))


def abandoned(names: Iterable[str], is_alive: Callable[[int], bool]) -> list[str]:
    """Return which of these names are folders of a Ray whose process has ended.

    Examples
    --------
    >>> abandoned(["farm-ray-71-x", "farm-ray-72-y", "farm-ray-mine", "else"], lambda process: process == 72)
    ['farm-ray-71-x']
    """
    named = ((name, _NAME.fullmatch(name)) for name in names)
    return [name for name, match in named if match and not is_alive(int(match[1]))]


def remove_abandoned() -> None:
    """Remove this user's folders that killed runs have left; those of others are not touched."""
    place = Path(tempfile.gettempdir())
    for name in abandoned(os.listdir(place), _is_alive):
        if _is_own_folder(place / name):
            shutil.rmtree(place / name, ignore_errors=True)  # another run may be at it, and the next tries again


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _is_own_folder(path: Path) -> bool:
    """Tell whether this user owns a folder; a link to one is none."""
    try:
        return path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.getuid()
    except FileNotFoundError:  # another run has just removed it
        return False
