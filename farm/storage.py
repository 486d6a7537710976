"""The only durable writer.

Every file of a farm is written whole or not at all: temporary file beside the target, fsync, rename, fsync of
the folder. A reader therefore never meets half a file, and a killed run can be repeated.

Conventions
-----------
A *key* is a relative path with forward slashes (`runs/bach/1f2e/metrics.jsonl`), made by `farm.layout`.

A storage with a *fence* writes only as long as the fence's file holds its token: so an attempt that was given up and
comes to life again writes nothing more. The token is looked at before each rename, append and removal. An attempt
that is stopped in the microseconds between the two can still finish that one; the next owner of the folder takes
its temporary file away.
"""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import DiskError, FencedError, StorageError

hook: Callable[[str, Path], None] | None = None
"""Called before every operation that lasts, with its name and the file; tests set it, to fail the operation or to end
the process there (`tests/faults`). Names: create, write, fsync, rename, append, delete, fsync folder."""

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "no permission; choose another folder with --artifacts or change its owner",
    errno.EPERM: "no permission; choose another folder with --artifacts or change its owner",
    errno.EROFS: "the file system is read-only; choose another folder with --artifacts",
    errno.ENOTDIR: "a file stands where a folder is needed; move it away",
    errno.EIO: "the disk reported an error; check the disk",
}
_TEMPORARY = ".tmp"
_MAY_PASS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK, errno.ECONNRESET, errno.EHOSTDOWN),
}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the operating system's error into a message with the place and the way out."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "run the same command again once this is mended")
        kind = DiskError if error.errno in _MAY_PASS else StorageError
        raise kind(f"{path}: {error.strerror or error}; {advice}") from error


@dataclass(frozen=True)
class Fence:
    """The leave of one attempt to write: the file `key` holds its `token` while the attempt is the current one."""

    key: str
    token: str


class Storage:
    """Reads and writes whole files under one root folder.

    Parameters
    ----------
    root
        The artifacts folder; made when the first file is written.
    fence
        Whose leave this storage writes by; None for the owner of the folder.
    """

    def __init__(self, root: Path | str, fence: Fence | None = None) -> None:
        self.root = Path(root)
        self._fence = fence

    def path(self, key: str) -> Path:
        """Return where `key` lies on this machine."""
        return self.root / key

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def read_bytes(self, key: str) -> bytes:
        with _told(self.path(key)):
            return self.path(key).read_bytes()

    def read_json(self, key: str) -> Any:
        """Return the parsed file; a file that is no JSON is a StorageError naming it."""
        try:
            return json.loads(self.read_bytes(key))
        except ValueError as error:
            raise StorageError(f"{self.path(key)}: not valid JSON ({error}); delete it and run again") from error

    def check_fence(self) -> None:
        """Raise FencedError when another attempt, or another owner of the folder, has taken this one's place."""
        if self._fence is None:
            return
        with _told(self.path(self._fence.key)):
            try:
                token = self.path(self._fence.key).read_text()
            except FileNotFoundError:
                token = ""
        if token != self._fence.token:
            raise FencedError(f"{self.root}: {self._fence.token} was given up; it writes nothing more, run again")

    def write_bytes(self, key: str, data: bytes) -> Path:
        """Replace `key` by `data`, durably, and return its path."""
        return self.write_chunks(key, [data])

    def write_chunks(self, key: str, chunks: Iterable[bytes]) -> Path:
        """Replace `key` by one chunk after the other, as `write_bytes` does, without holding them all at once."""
        target = self.path(key)
        with _told(target):
            _before("create", target)
            _make_folder(target.parent)
            handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:80]}.", suffix=_TEMPORARY, dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    for chunk in chunks:
                        _before("write", target)
                        file.write(chunk)
                    _before("fsync", target)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                _before("rename", target)
                self.check_fence()
                os.replace(temporary, target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)
        return target

    def write_text(self, key: str, text: str) -> Path:
        return self.write_bytes(key, text.encode())

    def write_json(self, key: str, value: Any) -> Path:
        """Write `value` as readable JSON with sorted keys, so that equal values are equal bytes."""
        return self.write_text(
            key, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        )

    def append_json(self, key: str, record: dict[str, Any]) -> None:
        """Add one line to a .jsonl file, on disk before this returns.

        A line torn by a crash is closed off first, so that it spoils no later line; `read_lines` skips it.
        """
        target = self.path(key)
        line = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with _told(target):
            _before("append", target)
            _make_folder(target.parent)
            is_new = not target.exists()
            with target.open("ab+") as file:
                self.check_fence()
                if file.tell() > 0:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                _sync_folder(target.parent)

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
        folder = self.path(prefix)
        if not folder.is_dir():
            return []
        with _told(folder):
            names = [entry.name for entry in folder.iterdir() if entry.is_file()]
        return [f"{prefix}/{name}" for name in sorted(names) if name.endswith(suffix) and not name.startswith(".")]

    def delete(self, key: str) -> None:
        with _told(self.path(key)):
            _before("delete", self.path(key))
            self.check_fence()
            self.path(key).unlink(missing_ok=True)

    def sweep(self, prefix: str) -> None:
        """Remove the temporary files that killed writers have left in a folder and below it; for the owner only."""
        with _told(self.path(prefix)):
            for folder, _, names in os.walk(self.path(prefix)):
                for name in names:
                    if name.endswith(_TEMPORARY):
                        Path(folder, name).unlink(missing_ok=True)


def _before(operation: str, path: Path) -> None:
    if hook is not None:
        hook(operation, path)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on disk before this returns."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    _before("fsync folder", folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
