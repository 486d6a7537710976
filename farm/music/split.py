"""Training and held-out pieces, by family: near-duplicates never stand on both sides.

Two pieces are of one family when most of what the shorter one says, the longer one says too: on the top line (a
chorale's tune in another harmony) or on the whole stream of notes (another edition, another performance). What a
piece says is its set of n-grams of intervals; transposition, tempo and key do not matter.

Conventions
-----------
Pieces are note arrays (dtype `encoding.NOTE`) without drums. Families are numbered by their first piece, from 0.
Every decision depends on the pieces' content only, never on their order or names.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

N_GRAM = 8
COVERAGE = 0.5
FEWEST_GRAMS = 12
NEIGHBOURS = 24
MIN_HELDOUT_PIECES = 4
_GRID = 48
_CHORD_BEATS = 1 / 16
_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)
_PRIME = np.uint64(0x9E3779B97F4A7C15)


def content_hash(notes: np.ndarray) -> str:
    """Return 16 hex characters that are equal for pieces with the same notes in any key, velocity and edition.

    Onsets count from the first note and durations in 1/48 beat; no notes have a hash too.
    """
    if len(notes) == 0:
        return hashlib.sha256(b"").hexdigest()[:16]
    onset = np.rint((notes["onset_beat"] - notes["onset_beat"].min()) * _GRID).astype("<i8")
    duration = np.rint(notes["duration_beat"] * _GRID).astype("<i8")
    pitch = notes["pitch"].astype("<i8") - int(notes["pitch"].min())
    order = np.lexsort((duration, pitch, onset))
    return hashlib.sha256(np.stack([onset, pitch, duration])[:, order].tobytes()).hexdigest()[:16]


def fingerprint(notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashed n-grams of a piece: of its top line, and of all its notes.

    Returns
    -------
    Two ascending uint64 arrays without repeats; empty where a view has too few notes.
    """
    if len(notes) == 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    order = np.lexsort((notes["pitch"], notes["onset_beat"]))
    onset, pitch = notes["onset_beat"][order], notes["pitch"][order].astype(np.int64)
    chord = np.concatenate([[0], np.cumsum(np.diff(onset) > _CHORD_BEATS)])
    whole = np.lexsort((pitch, chord))
    last = np.flatnonzero(np.diff(chord, append=-1))
    top = np.maximum.reduceat(pitch, np.concatenate([[0], last[:-1] + 1]))
    return _grams(np.diff(top), 1), _grams(np.diff(pitch[whole]), 2)


def families(pieces: Sequence[np.ndarray]) -> list[int]:
    """Return the family of each piece; a piece without notes is a family of its own.

    Parameters
    ----------
    pieces
        Note arrays, shape (n_notes,) each.
    """
    return families_of([fingerprint(notes) for notes in pieces])
