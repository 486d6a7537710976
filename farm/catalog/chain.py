"""The chain of catalogs: which one is in force, and how the next one is written.

Conventions
-----------
`catalog-<n>.json` holds the hash of the catalog before it; `CURRENT` (name and hash, one line) says which is in force.
The next catalog is created, then `CURRENT` swapped; a run that is killed in between leaves the old one in force. Of
several publishers at once the store lets one create each number. The others bring that one into force, as they do for
a publisher that was killed before it could, and write theirs on top of it: nothing that was published is lost.
"""

import hashlib
import json
import platform
import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from farm import layout
from farm.errors import IntegrityError
from farm.storage import Storage, json_text

_CURRENT = re.compile(r"catalog-([1-9]\d{0,8})\.json ([0-9a-f]{64})\n")
_LIBRARIES = ("keras", "music21", "numpy", "pyarrow", "ray", "safetensors", "symusic", "tensorflow")


class InForce(NamedTuple):
    """The catalog in force: what CURRENT says, the hash of the catalog's bytes, and what it holds."""

    line: bytes
    sha256: str
    catalog: dict[str, Any]


def in_force(storage: Storage) -> InForce | None:
    """Return the catalog in force, or None before the first.

    Raises
    ------
    IntegrityError
        When CURRENT or the catalog it names is not as it was written.
    """
    if not storage.exists(layout.CURRENT):
        return None
    line = storage.read_bytes(layout.CURRENT)
    match = _CURRENT.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        raise IntegrityError(f"{storage.address(layout.CURRENT)}: names no catalog; 'farm verify' says what is left")
    key = layout.catalog_numbered(int(match[1]))
    if not storage.exists(key):
        raise IntegrityError(f"{storage.address(key)}: is missing, CURRENT names it; bring it back from a copy")
    data = storage.read_bytes(key)
    if hashlib.sha256(data).hexdigest() != match[2]:
        raise IntegrityError(
            f"{storage.address(key)}: is not the catalog that was published; bring it back from a copy"
        )
    return InForce(line, match[2], json.loads(data))


def write_next(storage: Storage, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> int:
    """Write the catalog that `change` makes of the one in force, unless that says the same; return the number in force.

    Parameters
    ----------
    change
        From a catalog, empty before the first, to the content of the next. Called again whenever another publisher
        was faster.

    Raises
    ------
    IntegrityError
        When the catalog in force is not as it was written, or the next one's place is taken by a file that is none.
    """
    while True:
        before = in_force(storage)
        catalog = before.catalog if before else {}
        content = json.loads(json.dumps(change(catalog), allow_nan=False))  # as it will be read: tuples are lists
        number: int = catalog.get("number", 0)
        if before is not None and all(catalog.get(key) == value for key, value in content.items()):
            return number
        follows = {"number": number + 1, "previous_sha256": before.sha256 if before else None}
        data = json_text({**content, **follows, "generated_by": _versions()}).encode()
        key = layout.catalog_numbered(number + 1)
        is_ours = storage.create_bytes(key, data)
        _bring_into_force(storage, before, key, data if is_ours else storage.read_bytes(key))
        if is_ours:
            return number + 1


def _bring_into_force(storage: Storage, before: InForce | None, key: str, data: bytes) -> None:
    """Make CURRENT name the catalog that follows `before`, whoever wrote it; nothing when another process did."""
    try:
        previous = json.loads(data)["previous_sha256"]
    except (ValueError, KeyError, TypeError):
        previous = ""
    if previous != (before.sha256 if before else None):
        raise IntegrityError(
            f"{storage.address(key)}: does not follow the catalog in force; move it away and run the same command again"
        )
    line = f"{key.rpartition('/')[2]} {hashlib.sha256(data).hexdigest()}\n".encode()
    if before is None:
        storage.create_bytes(layout.CURRENT, line)
    else:
        storage.swap_bytes(layout.CURRENT, before.line, line)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue  # a machine that only publishes needs few of them
    return found
