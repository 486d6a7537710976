"""Training and held-out pieces, by content: near-duplicates never stand on both sides.

Conventions
-----------
Pieces are note arrays (dtype `encoding.NOTE`) without drums. Every decision depends on the content of the pieces,
never on their order or names. Which pieces are near-duplicates, `farm.music.families` says.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from farm.music.encoding import Notes

FEWEST_HELDOUT_PIECES = 4
PIECES_FOR_FEWEST = 20
_GRID = 48


def content_hashes(notes: Notes, bounds: np.ndarray) -> list[str]:
    """Return 16 hex characters per piece, equal for pieces with the same notes in any key, tempo and loudness.

    Onsets count from the first note and durations in 1/48 beat; no notes have a hash too.

    Parameters
    ----------
    notes
        `onset_beat`, `duration_beat` and `pitch`, shape (n_notes,) each, in any order within a piece.
    bounds
        Where each piece begins and the last one ends, shape (n_pieces + 1,).
    """
    bounds = np.asarray(bounds, np.int64)
    taken, bounds = slice(bounds[0], bounds[-1]), bounds - bounds[0]
    sizes = np.diff(bounds)
    filled = bounds[:-1][sizes > 0]
    onset, pitch = notes["onset_beat"][taken], notes["pitch"][taken].astype("<i8")
    if len(filled):
        onset = onset - np.repeat(np.minimum.reduceat(onset, filled), sizes[sizes > 0])
        pitch -= np.repeat(np.minimum.reduceat(pitch, filled), sizes[sizes > 0])
    onset, duration = (np.rint(beats * _GRID).astype("<i8") for beats in (onset, notes["duration_beat"][taken]))
    unordered = _unordered(onset, pitch, duration, bounds)
    rows = np.stack([onset, pitch, duration], axis=1).astype("<i4")
    digests = []
    for number, (start, stop) in enumerate(pairwise(bounds.tolist())):
        piece = rows[start:stop]
        if number in unordered:
            piece = np.ascontiguousarray(piece[np.lexsort(piece.T[::-1])])
        digests.append(hashlib.sha256(piece.data).hexdigest()[:16])
    return digests


def split(
    families: Sequence[int | str], sizes: Sequence[int], content_hashes: Sequence[str], share: float, seed: int
) -> list[str]:
    """Return 'train' or 'heldout' for every piece, whole families together.

    Families are drawn in an order that depends on seed and content, and held out while that brings the held-out
    notes nearer to `share`. Then the smallest families follow until `FEWEST_HELDOUT_PIECES` are held out (one in a
    corpus of fewer than `PIECES_FOR_FEWEST`). The largest family always trains; a single family all trains.

    Parameters
    ----------
    families, sizes, content_hashes
        Family, number of notes and content hash of each piece.
    share
        Share of the notes to hold out, 0 to 1.
    """
    members: dict[int | str, list[int]] = defaultdict(list)
    for index, family in enumerate(families):
        members[family].append(index)
    weight = {family: sum(sizes[index] for index in indices) for family, indices in members.items()}
    draw = {
        family: hashlib.sha256(f"{seed}:{min(content_hashes[index] for index in indices)}".encode()).hexdigest()
        for family, indices in members.items()
    }
    by_weight = sorted(members, key=lambda family: (weight[family], draw[family]))
    candidates = by_weight[:-1]
    target, held, chosen = share * sum(sizes), 0, set[int | str]()
    for family in sorted(candidates, key=draw.__getitem__):
        if abs(held + weight[family] - target) < abs(held - target):
            chosen.add(family)
            held += weight[family]
    fewest = FEWEST_HELDOUT_PIECES if len(sizes) >= PIECES_FOR_FEWEST else 1
    for family in candidates:
        if sum(len(members[each]) for each in chosen) >= fewest:
            break
        chosen.add(family)
    return ["heldout" if family in chosen else "train" for family in families]


def _unordered(onset: np.ndarray, pitch: np.ndarray, duration: np.ndarray, bounds: np.ndarray) -> set[int]:
    """Return the numbers of the pieces that are not in order of onset, pitch and duration; few, as readers order."""
    falls = np.zeros(max(len(onset) - 1, 0), bool)
    for column in (duration, pitch, onset):
        falls = (column[1:] < column[:-1]) | (falls & (column[1:] == column[:-1]))
    places = np.flatnonzero(falls)
    before, after = (np.searchsorted(bounds, places + step, side="right") - 1 for step in (0, 1))
    return set(before[before == after].tolist())
