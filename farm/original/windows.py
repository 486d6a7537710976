"""What the original program trains on: every stretch of so many tokens, and the one token that follows it.

Conventions
-----------
Tokens are codes, int32. A window is `length` codes and its target the next. Windows follow each other by one token
and stay inside a piece; only pieces too short for a window are joined, one after the other, as the original joined
all. (It had no code for nothing, so a window cannot be filled up.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Windows over one row of codes; `starts` are the places where they begin, ascending."""

    codes: np.ndarray
    starts: np.ndarray
    length: int

    @classmethod
    def build(cls, pieces: Sequence[np.ndarray], length: int) -> "Windows":
        """Return all windows of some pieces; none when there are too few tokens for one."""
        rows = streams(pieces, length)
        ends = np.cumsum([len(row) for row in rows])
        starts = [np.arange(end - len(row), end - length) for row, end in zip(rows, ends, strict=True)]
        codes = np.concatenate(rows) if rows else np.zeros(0, np.int32)
        return cls(codes, np.concatenate(starts) if starts else np.zeros(0, np.int64), length)

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return windows, (n, length), and their targets, (n,), by their numbers."""
        starts = self.starts[chosen]
        return self.codes[starts[:, None] + np.arange(self.length)], self.codes[starts + self.length]

    def parted(self, share: float) -> tuple["Windows", "Windows"]:
        """Return the windows before the last `share` of all, and those: what they foretell the others never saw."""
        cut = int(len(self) * (1 - share))
        first, last = (Windows(self.codes, starts, self.length) for starts in (self.starts[:cut], self.starts[cut:]))
        return first, last


def streams(pieces: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    """Return the pieces that are long enough for a window and its target, then the others as one, if they are."""
    short = [piece for piece in pieces if len(piece) <= length]
    joined = np.concatenate(short) if short else np.zeros(0, np.int32)
    long = [piece for piece in pieces if len(piece) > length]
    return [*long, joined] if len(joined) > length else long
