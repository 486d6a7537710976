"""Note arrays to a Standard MIDI File, byte by byte: with numpy alone, wherever a model composes.

Conventions
-----------
Format 0: one track, on the first channel. Tempo, metre, key and name stand at its beginning; the status byte of the
first note serves for all (running status), and a key is let go by a note-on of velocity 0. Keys that are let go at a
tick come before those that are struck there. The file ends with the last note.
"""

import struct

import numpy as np

from farm.composing.notation import Sheet

_NAME, _END, _TEMPO, _METRE, _KEY = 0x03, 0x2F, 0x51, 0x58, 0x59
_PROGRAM, _NOTE_ON = 0xC0, 0x90
_MICROSECONDS_PER_MINUTE = 60_000_000
_CLOCKS_PER_BEAT, _THIRTY_SECONDS_PER_BEAT = 24, 8


def midi_file(notes: np.ndarray, sheet: Sheet, ticks_per_beat: int) -> bytes:
    """Return the bytes of a MIDI file; no notes give a valid empty one.

    Parameters
    ----------
    notes
        Note array in which no pitch sounds twice at once. Onsets and ends go to the nearest tick.
    """
    track = bytearray()
    for kind, data in _head(sheet):
        track += bytes((0, 0xFF, kind)) + _variable(len(data)) + data
    track += bytes((0, _PROGRAM, sheet.program))
    status = bytes((_NOTE_ON,))
    reached = 0
    for tick, pitch, velocity in _strokes(notes, ticks_per_beat):
        track += _variable(tick - reached) + status + bytes((pitch, velocity))
        reached, status = tick, b""
    track += bytes((0, 0xFF, _END, 0))
    return struct.pack(">4sIHHH", b"MThd", 6, 0, 1, ticks_per_beat) + struct.pack(">4sI", b"MTrk", len(track)) + track


def _head(sheet: Sheet) -> list[tuple[int, bytes]]:
    """Return what stands before the first note, as meta events: kind and data."""
    beats, unit = sheet.metre
    head = [
        (_NAME, sheet.title.encode(errors="replace")),
        (_TEMPO, round(_MICROSECONDS_PER_MINUTE / sheet.tempo_bpm).to_bytes(3, "big")),
        (_METRE, bytes((beats, unit.bit_length() - 1, _CLOCKS_PER_BEAT, _THIRTY_SECONDS_PER_BEAT))),
    ]
    if sheet.signature is not None:
        fifths, is_minor = sheet.signature
        head.append((_KEY, struct.pack("bB", fifths, is_minor)))
    return head


def _strokes(notes: np.ndarray, ticks_per_beat: int) -> list[tuple[int, int, int]]:
    """Return tick, pitch and velocity of every key struck or, with velocity 0, let go, in order."""
    onset = np.rint(notes["onset_beat"] * ticks_per_beat).astype(np.int64)
    end = onset + np.rint(notes["duration_beat"] * ticks_per_beat).astype(np.int64)
    tick, pitch = np.concatenate([end, onset]), np.tile(notes["pitch"], 2)
    velocity = np.concatenate([np.zeros(len(notes), np.int64), notes["velocity"]])
    order = np.lexsort((pitch, velocity > 0, tick))
    return list(zip(tick[order].tolist(), pitch[order].tolist(), velocity[order].tolist(), strict=True))


def _variable(number: int) -> bytes:
    """Return a number in MIDI's variable length: seven bits a byte, the high bit set on all but the last.

    Examples
    --------
    >>> _variable(127).hex(), _variable(128).hex(), _variable(1_000_000).hex()
    ('7f', '8100', 'bd8440')
    """
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
