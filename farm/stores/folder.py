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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from farm.errors import BusyError, StorageError

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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the operating system's error into a message with the place and the way out."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "run the same command again once this is mended")
        raise StorageError(f"{path}: {error.strerror or error}; {advice}") from error


class Folder:
    """Files under one root folder, which is made when the first is written."""

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root, self.home = str(root), os.path.abspath(root)

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
            os.replace(temporary, target)

    def tell(self, key: str, data: bytes) -> None:
        target = self._path(key)
        with _told(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            temporary.write_bytes(data)
            os.replace(temporary, target)

    def create(self, key: str, data: bytes) -> bool:
        target = self._path(key)
        with _told(target), _written(target, [data]) as temporary:
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
                    os.replace(temporary, target)
        return True

    def append(self, key: str, line: bytes) -> None:
        """Add a line; one that was torn by a crash is closed off first, so that it spoils no later line."""
        target = self._path(key)
        with _told(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab+") as file:
                if file.tell() > 0:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    def delete(self, key: str) -> None:
        with _told(self._path(key)):
            self._path(key).unlink(missing_ok=True)

    @contextmanager
    def hold(self, key: str, owner: str) -> Iterator[None]:
        path = self._path(key)
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                other = file.read().strip() or "another process"
                raise BusyError(
                    f"{self.root}: {other} is already working in this folder; wait for it, or use another --artifacts"
                ) from error
            file.truncate(0)
            file.write(owner)
            file.flush()
            yield

    def is_held(self, key: str) -> bool:
        path = self._path(key)
        if not path.exists():
            return False
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _path(self, key: str) -> Path:
        return Path(self.root) / key


@contextmanager
def _written(target: Path, chunks: Iterable[bytes]) -> Iterator[str]:
    """Write beside the target, give what was written to be moved there, and sync the folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:80]}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        yield temporary
        _sync_folder(target.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
