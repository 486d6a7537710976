"""What can hold a farm's artifacts: a folder, or a bucket of an object store.

Conventions
-----------
A *key* is a relative path with forward slashes. Whatever is written is there whole or not at all, and stays when
the call returns. *Creating* and *swapping* are decided by the store itself: of several processes that do it at
once, on whatever machines, one is told that it did. Every failure is a StorageError with the way out.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from mmap import mmap
from pathlib import Path
from typing import Protocol

from farm.errors import FarmError


class Store(Protocol):
    """The few things that `farm.storage` asks of a place.

    Attributes
    ----------
    root
        The place as messages call it.
    home
        The place as a process in another folder, or on another machine that shares it, can open it.
    is_remote
        Whether processes on other machines see the same files without sharing a folder.
    """

    root: str
    home: str
    is_remote: bool

    def address(self, key: str) -> str:
        """Return how messages call a file."""

    def exists(self, key: str) -> bool: ...

    def read(self, key: str) -> bytes: ...

    def map(self, key: str) -> mmap:
        """Return a file that is not empty as read-only memory, without reading all of it at once where that can be."""

    def names(self, folder: str, deep: bool = False) -> list[str]:
        """Return the names of the files in a folder, in any order; none when there is no such folder.

        Parameters
        ----------
        deep
            Also of those in the folders in it, as `folder/name`.
        """

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Replace a file by one chunk after the other, without holding them all."""

    def tell(self, key: str, data: bytes) -> None:
        """Replace a file that may be lost again, cheaply."""

    def create(self, key: str, data: bytes) -> bool:
        """Write a file unless there is one; return whether there was none."""

    def swap(self, key: str, before: bytes, after: bytes) -> bool:
        """Replace a file if its bytes are still `before`; return whether they were."""

    def append(self, key: str, line: bytes, is_synced: bool) -> None:
        """Add a line, newline included, to the end of a file, which is made when it is missing.

        Parameters
        ----------
        is_synced
            Whether it has to outlast the machine's failure, where that costs something.
        """

    def delete(self, key: str) -> None:
        """Delete a file; nothing when there is none."""

    def sweep(self, folder: str) -> None:
        """Remove what killed writers have left half written in a folder and those in it."""

    def hold(self, key: str, owner: str) -> AbstractContextManager[None]:
        """Hold a lock for as long as the block runs; BusyError names the owner who has it."""

    def is_held(self, key: str) -> bool: ...


def open_store(root: Path | str, check: Callable[[], None]) -> Store:
    """Return the store at a folder's path or an s3:// address; nothing is read or made yet.

    Parameters
    ----------
    check
        Called right before anything that lasts; what it raises keeps that from being done.

    Raises
    ------
    FarmError
        For an address of another kind.
    """
    if not is_address(root):
        from farm.stores.folder import Folder

        return Folder(Path(root), check)
    from farm.stores.bucket import Bucket

    scheme, _, place = str(root).partition("://")
    bucket, _, prefix = place.partition("/")
    if scheme != "s3" or not bucket:
        raise FarmError(f"{root}: is no place for artifacts; give a folder or s3://bucket/prefix")
    return Bucket(bucket, prefix.strip("/"), check)


def is_address(root: Path | str) -> bool:
    """Tell an address from a folder's path.

    Examples
    --------
    >>> is_address("s3://music/farm"), is_address("artifacts")
    (True, False)
    """
    return "://" in str(root)
