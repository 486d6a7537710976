"""The only durable writer.

Every file of a farm is written whole or not at all, and is there when the call returns: a reader therefore never
meets half a file, and a killed run can be repeated. Where the files are, in a folder or in an object store, only
`farm.stores` knows.

Conventions
-----------
A *key* is a relative path with forward slashes (`runs/bach/1f2e/metrics.jsonl`), made by `farm.layout`.

A storage with a *fence* writes only as long as the fence's file holds its token: so an attempt that was given up and
comes to life again writes nothing more. The token is looked at right before each thing that lasts. An attempt that is
stopped in the instant between the two can still finish that one.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

from farm.errors import FencedError, StorageError
from farm.stores.store import open_store


@dataclass(frozen=True)
class Fence:
    """The leave of one attempt to write: the file `key` holds its `token` while the attempt is the current one."""

    key: str
    token: str


class Storage:
    """Reads and writes whole files in one place.

    Parameters
    ----------
    root
        A folder, which is made when the first file is written, or an address such as s3://bucket/prefix.
    fence
        Whose leave this storage writes by; None for the owner of the artifacts.

    Attributes
    ----------
    root
        As it was given, for messages.
    home
        The same for processes in other folders and on other machines.
    is_remote
        Whether other machines can open `home` without sharing a folder with this one.
    """

    def __init__(self, root: Path | str, fence: Fence | None = None) -> None:
        self._store = open_store(root, self.check_fence)
        self._fence = fence
        self.root, self.home, self.is_remote = self._store.root, self._store.home, self._store.is_remote

    def address(self, key: str) -> str:
        """Return where `key` lies, for a person."""
        return self._store.address(key)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def read_bytes(self, key: str) -> bytes:
        return self._store.read(key)

    def map_bytes(self, key: str) -> mmap:
        """Return a large file, not empty, as read-only memory that is loaded page by page."""
        return self._store.map(key)

    def read_json(self, key: str) -> Any:
        """Return the parsed file; a file that is no JSON is a StorageError naming it."""
        try:
            return json.loads(self.read_bytes(key))
        except ValueError as error:
            raise StorageError(f"{self.address(key)}: not valid JSON ({error}); delete it and run again") from error

    def check_fence(self) -> None:
        """Raise FencedError when another attempt, or another owner of the artifacts, has taken this one's place."""
        if self._fence is None:
            return
        token = self.read_json(self._fence.key) if self.exists(self._fence.key) else ""
        if token != self._fence.token:
            raise FencedError(f"{self.root}: {self._fence.token} was given up; it writes nothing more, run again")

    def write_bytes(self, key: str, data: bytes) -> None:
        """Replace `key` by `data`."""
        self.write_chunks(key, [data])

    def write_chunks(self, key: str, chunks: Iterable[bytes]) -> None:
        """Replace `key` by one chunk after the other, as `write_bytes` does, without holding them all at once."""
        self._store.write(key, chunks)

    def write_text(self, key: str, text: str) -> None:
        self.write_bytes(key, text.encode())

    def write_json(self, key: str, value: Any) -> None:
        self.write_text(key, json_text(value))

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Write `key` unless it is there; of several who try at once, one is told that it did."""
        return self._store.create(key, data)

    def swap_bytes(self, key: str, before: bytes, after: bytes) -> bool:
        """Replace `key` if it still is `before`; of several who try at once, one is told that it did."""
        return self._store.swap(key, before, after)

    def tell_json(self, key: str, value: Any) -> None:
        """Replace `key` by what is worth a second at most: nothing is lost when it is."""
        self._store.tell(key, json.dumps(value, allow_nan=False).encode())

    def append_json(self, key: str, record: dict[str, Any], *, is_synced: bool = True) -> None:
        """Add one line to a .jsonl file; `read_lines` skips one that was torn by a crash.

        Parameters
        ----------
        is_synced
            False for a line that may be lost when the machine fails, though not when the process is killed.
        """
        line = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self._store.append(key, line.encode() + b"\n", is_synced)

    def read_lines(self, key: str) -> list[dict[str, Any]]:
        """Return the records of a .jsonl file in order; a missing file is empty, a torn line is left out."""
        if not self.exists(key):
            return []
        records = []
        for line in self.read_bytes(key).splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                records.append(record)
        return records

    def list(self, prefix: str, suffix: str = "") -> list[str]:
        """Return the keys of the files directly in folder `prefix`, sorted; temporary files are not listed."""
        names = sorted(self._store.names(prefix))
        return [f"{prefix}/{name}" for name in names if name.endswith(suffix) and not name.startswith(".")]

    def walk(self, prefix: str) -> Sequence[str]:
        """Return the keys of all files in folder `prefix` and in the folders in it, sorted, as `list` does."""
        keys = (f"{prefix}/{name}" for name in sorted(self._store.names(prefix, deep=True)))
        return [key for key in keys if not key.rpartition("/")[2].startswith(".")]

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers have left half written in a folder and below it; for the owner only."""
        self._store.sweep(prefix)

    def hold(self, key: str, owner: str) -> AbstractContextManager[None]:
        """Hold the lock `key` for as long as the block runs; BusyError names the owner who has it."""
        return self._store.hold(key, owner)

    def is_held(self, key: str) -> bool:
        return self._store.is_held(key)


def json_text(value: Any) -> str:
    """Return `value` as readable JSON with sorted keys, so that equal values are equal bytes."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
