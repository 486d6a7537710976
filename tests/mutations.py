"""Damage done to a file on purpose, at random and repeatable: for tests and for the bench of the reader."""

from collections.abc import Callable

import numpy as np

_CHUNKS = (b"MThd", b"MTrk")


def mutate(data: bytes, random: np.random.Generator, other: bytes | None = None) -> bytes:
    """Return a damaged copy of a MIDI file.

    One kind of damage is drawn: bits flipped, a run of bytes overwritten, the end cut off, the length of a chunk or
    the number of tracks changed, bytes inserted or taken out, a second file appended.

    Parameters
    ----------
    data
        Not empty.
    other
        The file to append, where that is drawn; without it the file is appended to itself.
    """
    damage = _DAMAGE[random.integers(len(_DAMAGE))]
    if damage is None:
        return data + (data if other is None else other)
    changed = bytearray(data)
    damage(changed, random)
    return bytes(changed)


def _flip_bits(data: bytearray, random: np.random.Generator) -> None:
    for at in random.integers(0, len(data), random.integers(1, 17)):
        data[at] ^= 1 << int(random.integers(8))


def _overwrite(data: bytearray, random: np.random.Generator) -> None:
    at, length = _place(data, random)
    data[at : at + length] = random.bytes(min(length, len(data) - at))


def _cut_end(data: bytearray, random: np.random.Generator) -> None:
    del data[int(random.integers(0, len(data))) :]


def _change_length(data: bytearray, random: np.random.Generator) -> None:
    """Give one chunk another length: a little off, or anything at all."""
    starts = [at for mark in _CHUNKS for at in _found(data, mark) if at + 8 <= len(data)]
    if not starts:
        return
    at = starts[random.integers(len(starts))] + 4
    length = int.from_bytes(data[at : at + 4], "big")
    wrong = length + int(random.integers(-8, 9)) if random.random() < 0.5 else int(random.integers(2**32))
    data[at : at + 4] = (wrong % 2**32).to_bytes(4, "big")


def _change_tracks(data: bytearray, random: np.random.Generator) -> None:
    few = random.random() < 0.5
    data[10:12] = int(random.integers(0, 8 if few else 2**16)).to_bytes(2, "big")


def _insert(data: bytearray, random: np.random.Generator) -> None:
    at, length = _place(data, random)
    data[at:at] = random.bytes(length)


def _take_out(data: bytearray, random: np.random.Generator) -> None:
    at, length = _place(data, random)
    del data[at : at + length]


def _place(data: bytearray, random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(0, len(data))), int(random.integers(1, 65))


def _found(data: bytearray, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    return places


_DAMAGE: tuple[Callable[[bytearray, np.random.Generator], None] | None, ...] = (
    *(_flip_bits, _overwrite, _cut_end, _change_length, _change_tracks, _insert, _take_out),
    None,  # a second file appended
)
