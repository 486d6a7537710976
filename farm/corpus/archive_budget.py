"""How much an archive may unpack, and what a tar archive is read through so that it does not unpack more.

Conventions
-----------
The limits are far from what honest archives of music need: scores pack 30 to 1 at best, a bomb 1,000 to 1 or better.
They hold for what was unpacked so far, not for the whole, so that a large bomb is found as soon as a small one.
"""

import tarfile
from typing import IO

from farm.corpus.findings import MAX_FILE_BYTES, shown
from farm.errors import SourceError

MAX_MEMBERS = 1_000_000
MAX_RATIO = 200
FREE_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 32 << 30
_STEP_BYTES = 1 << 20


def unpacked_limit(packed: int) -> int:
    """Return how many bytes may come out of the first `packed` bytes of an archive.

    >>> unpacked_limit(0) >> 20, unpacked_limit(1 << 20) >> 20, unpacked_limit(1 << 30) >> 30
    (256, 456, 32)
    """
    return min(MAX_UNPACKED_BYTES, FREE_BYTES + MAX_RATIO * packed)


class Budget:
    """What an archive has unpacked so far; SourceError when it is too much."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._packed = self._unpacked = self._members = 0

    def spend(self, unpacked: int, packed: int) -> None:
        """Count bytes, and the packed bytes that they came from."""
        self._unpacked += unpacked
        self._packed += packed
        limit = unpacked_limit(self._packed)
        if self._unpacked > limit:
            raise SourceError(
                f"{shown(self._path)}: archive-bomb: its first {self._packed} bytes unpack to more than {limit}; "
                "unpack what you trust of it and name the folder"
            )

    def count(self) -> None:
        """Count one member."""
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise SourceError(
                f"{shown(self._path)}: archive-bomb: it holds more than {MAX_MEMBERS} members; "
                "pack them in several archives"
            )


class ForwardStream:
    """What TarFile reads from: forwards only, and never more than the budget allows.

    Attributes
    ----------
    latest
        The bytes of the latest read.
    """

    def __init__(self, stream: IO[bytes], packed: IO[bytes], budget: Budget) -> None:
        """Take the stream of unpacked bytes and the file that they come from; the same where nothing is packed."""
        self._stream, self._packed, self._budget = stream, packed, budget
        self._position = self._packed_position = 0
        self.latest = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_FILE_BYTES + 1:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.latest = self._stream.read(size)
        self._position += len(self.latest)
        packed_position = self._packed.tell()
        self._budget.spend(len(self.latest), packed_position - self._packed_position)
        self._packed_position = packed_position
        return self.latest

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("a member that lies before the one before it")
        if self._stream is self._packed:
            self._position = self._stream.seek(position)
        while self._position < position and self.read(min(position - self._position, _STEP_BYTES)):
            pass

    def finish(self) -> None:
        """Read to the end, where the checksum of what is packed stands."""
        while self._stream is not self._packed and self.read(_STEP_BYTES):
            pass
