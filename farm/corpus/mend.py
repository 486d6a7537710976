"""Damaged MIDI made plain, so that a strict parser reads what can be read: no note is added, and none that has a pitch
left out.

Conventions
-----------
As in `farm.corpus.scan`, whose counts say where each track's last whole event ends; its notes are those of the scan.
"""

import struct
from collections.abc import Iterable

from farm.corpus.scan import TRACK

_END_OF_TRACK = b"\0\xff\x2f\0"
_ILLEGAL_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}


def rebuild(data: bytes, division: int, tracks: Iterable[tuple[int, int]], *, mended: bool = True) -> bytes:
    """Return a plain format 1 file of these tracks: no odd header, no foreign chunks, every track ended.

    Parameters
    ----------
    tracks
        Start and end of every track's whole events.
    mended
        Whether every event is written anew; otherwise the tracks are taken as they are.
    """
    bodies = [(_mended(data, start, end) if mended else data[start:end]) + _END_OF_TRACK for start, end in tracks]
    chunks = [part for body in bodies for part in (TRACK, struct.pack(">I", len(body)), body)]
    return b"".join([b"MThd", struct.pack(">IHHH", 6, 1, len(bodies), division), *chunks])


def _mended(data: bytes, start: int, end: int) -> bytes:
    """Return the events of a track, each with its own status and data bytes below 128.

    Notes of no pitch and messages that no file may hold (clock, song position, active sensing ...) are left out; their
    time is kept.
    """
    out = bytearray()
    at, status, waited = start, 0, 0
    while at < end:
        ticks, at = _number(data, at)
        waited += ticks
        byte = data[at]
        if byte in (0xFF, 0xF0, 0xF7):
            head = 2 if byte == 0xFF else 1
            length, after = _number(data, at + head)
            event, at = data[at : at + head] + _written(length) + data[after : after + length], after + length
        elif byte >= 0xF0:
            at += 1 + _ILLEGAL_DATA_BYTES.get(byte, 0)
            continue
        else:
            if byte >= 0x80:
                status, at = byte, at + 1
            size = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
            values, at = data[at : at + size], at + size
            if status & 0xF0 in (0x80, 0x90) and values[0] > 127:
                continue  # a note of no pitch
            event = bytes([status, *(min(value, 127) for value in values)])
        out += _written(waited) + event
        waited = 0
    return bytes(out)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    value, more = 0, True
    while more:
        value, more = value << 7 | data[at] & 0x7F, data[at] >= 0x80
        at += 1
    return value & 0x0FFFFFFF, at


def _written(value: int) -> bytes:
    """Return a number in the variable length of MIDI; what is too large for it stays the largest.

    >>> _written(0), _written(128)
    (b'\\x00', b'\\x81\\x00')
    """
    value = min(value, 0x0FFFFFFF)
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
