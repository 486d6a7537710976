"""A folder of this machine, or one that several machines share, as the place of artifacts.

A file is written beside its place, synced, moved there, and the folder synced. Who creates is decided by the file
system, who swaps or holds by the kernel's lock (flock), so that a dead process leaves none behind.

Conventions
-----------
Names that begin with a dot are those of files that are being written.
"""

import errno
import fcntl
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from farm.errors import BusyError, DiskError, StorageError

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
    errno.ENOTSUP: "this file system knows no hard links; choose another folder with --artifacts",
    errno.EIO: "the disk reported an error; check the disk",
}
_TEMPORARY = ".tmp"
_MAY_PASS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK, errno.ECONNRESET, errno.EHOSTDOWN),
}
_LOCK_TRIES = 10  # who asks whether a lock is held has it for an instant, which must not stop anybody
_LOCK_SECONDS = 0.05


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the operating system's error into a message with the place and the way out."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "run the same command again once this is mended")
        kind = DiskError if error.errno in _MAY_PASS else StorageError
        raise kind(f"{path}: {error.strerror or error}; {advice}") from error


class Folder:
    """Files under one root folder, which is made when the first is written."""

    is_remote = False

    def __init__(self, root: Path, check: Callable[[], None]) -> None:
        self.root, self.home = str(root), os.path.abspath(root)
        self._check = check

    def address(self, key: str) -> str:
        return str(self._path(key))

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def read(self, key: str) -> bytes:
        with _told(self._path(key)):
            return self._path(key).read_bytes()

    def map(self, key: str) -> mmap.mmap:
        with _told(self._path(key)), self._path(key).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def names(self, folder: str, deep: bool = False) -> list[str]:
        place = self._path(folder)
        if not place.is_dir():
            return []
        with _told(place):
            entries = place.rglob("*") if deep else place.iterdir()
            return [entry.relative_to(place).as_posix() for entry in entries if entry.is_file()]

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        target = self._path(key)
        with _told(target), _written(target, chunks) as temporary:
            self._check()
            os.replace(temporary, target)

    def tell(self, key: str, data: bytes) -> None:
        target = self._path(key)
        with _told(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}{_TEMPORARY}")
            temporary.write_bytes(data)
            os.replace(temporary, target)

    def create(self, key: str, data: bytes) -> bool:
        target = self._path(key)
        with _told(target), _written(target, [data]) as temporary:
            self._check()
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            return True

    def swap(self, key: str, before: bytes, after: bytes) -> bool:
        target = self._path(key)
        with _told(target):
            if not target.exists():
                return False
            with target.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                is_there = os.path.samestat(os.fstat(file.fileno()), target.stat())  # or another has just replaced it
                if not is_there or file.read() != before:
                    return False
                with _written(target, [after]) as temporary:
                    self._check()
                    os.replace(temporary, target)
        return True

    def append(self, key: str, line: bytes, is_synced: bool) -> None:
        """Add a line; one that was torn by a crash is closed off first, so that it spoils no later line."""
        target = self._path(key)
        with _told(target):
            _before("append", target)
            _make_folder(target.parent)
            is_new = not target.exists()
            with target.open("ab+") as file:
                self._check()
                if file.tell() > 0:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = b"\n" + line
                file.write(line)
                file.flush()
                if is_synced:
                    os.fsync(file.fileno())
            if is_new:
                _sync_folder(target.parent)

    def delete(self, key: str) -> None:
        with _told(self._path(key)):
            _before("delete", self._path(key))
            self._check()
            self._path(key).unlink(missing_ok=True)

    def sweep(self, folder: str) -> None:
        with _told(self._path(folder)):
            for place, _, names in os.walk(self._path(folder)):
                for name in names:
                    if name.endswith(_TEMPORARY):
                        Path(place, name).unlink(missing_ok=True)

    @contextmanager
    def hold(self, key: str, owner: str) -> Iterator[None]:
        path = self._path(key)
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        with file:
            if not _lock(file):
                file.seek(0)
                other = file.read().strip() or "another process"
                raise BusyError(
                    f"{self.root}: {other} is already working in this folder; wait for it, or use another --artifacts"
                )
            with _told(path):
                file.truncate(0)
                file.write(owner)
                file.flush()
            yield

    def is_held(self, key: str) -> bool:
        path = self._path(key)
        if not path.exists():
            return False
        with _told(path), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _path(self, key: str) -> Path:
        return Path(self.root) / key


def _lock(file: IO[str]) -> bool:
    """Lock an open file until it is closed; return whether nobody else has."""
    for tries_left in reversed(range(_LOCK_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if tries_left:
                time.sleep(_LOCK_SECONDS)
        else:
            return True
    return False


@contextmanager
def _written(target: Path, chunks: Iterable[bytes]) -> Iterator[str]:
    """Write beside the target, give what was written to be moved there, and sync the folder."""
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
        yield temporary
        _sync_folder(target.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


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
