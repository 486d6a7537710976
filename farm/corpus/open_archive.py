"""An archive kept open between two readings, so that one that can only be read forwards is unpacked once."""

import functools
import os
from collections.abc import Iterator

from farm.corpus.archives import Member, members
from farm.errors import ReadError


class OpenArchive:
    """The archive that was read last, and how far. Use it from one thread."""

    def __init__(self) -> None:
        self._which: tuple[str, int, int, int] | None = None
        self._members: Iterator[Member] | None = None
        self._next = 0
        self._latest: tuple[int, bytes] | None = None

    def read(self, location: str, position: int, name: str) -> bytes:
        """Return the bytes of the member that so many others come before; one that was passed means to begin again.

        Raises
        ------
        ReadError
            When that member is broken or no longer there; SourceError when the archive is.
        """
        try:
            status = os.stat(location)
        except OSError as error:
            raise ReadError("unreadable", error.strerror or str(error)) from error
        which = (location, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._latest is not None and (which, position) == (self._which, self._latest[0]):
            return self._latest[1]  # two sources that name one archive
        if self._members is None or which != self._which or position < self._next:
            self.close()
            self._which, self._members = which, members(location)
        for member in self._members:
            self._next += 1
            if self._next > position:
                if member.oddity or member.name != name:
                    break
                data = member.read(False) or b""
                self._latest = (position, data)
                return data
        raise ReadError("unreadable", "no longer in the archive")

    def close(self) -> None:
        """Let go of the archive."""
        self._which, self._members, self._next, self._latest = None, None, 0, None


@functools.lru_cache(maxsize=64)
def open_archive(process: int, thread: int) -> OpenArchive:
    """Return the archive that a thread of a process has open; a fork must not share it."""
    return OpenArchive()
