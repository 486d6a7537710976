"""Training and held-out pieces, by family: near-duplicates never stand on both sides.

Two pieces are of one family when much of what the shorter one says, the longer one says too: on the top line (a
chorale's tune in another harmony) or in the whole stream of notes (another edition, another performance). What a
piece says is its set of n-grams of intervals; key, tempo and rhythm do not matter.

Conventions
-----------
Pieces are note arrays (dtype `encoding.NOTE`) without drums. Every decision depends on the content of the pieces,
never on their order or names.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

TOP_INTERVALS = 6
STREAM_INTERVALS = 8
COVERAGE = 0.4
FEWEST_GRAMS = 12
NEIGHBOURS = 16
COMPARISONS = 1024
MOST_GRAMS = 4_000_000
FEWEST_HELDOUT_PIECES = 4
PIECES_FOR_FEWEST = 20
CHORD_BEATS = 0.1
_GRID = 48
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)

Fingerprint = tuple[np.ndarray, np.ndarray]
"""Hashed n-grams of the top line and of the whole stream: ascending uint64 arrays without repeats."""


def content_hash(notes: np.ndarray) -> str:
    """Return 16 hex characters that are equal for pieces with the same notes in any key, tempo and loudness.

    Onsets count from the first note and durations in 1/48 beat; no notes have a hash too.
    """
    if len(notes) == 0:
        return hashlib.sha256(b"").hexdigest()[:16]
    onset = np.rint((notes["onset_beat"] - notes["onset_beat"].min()) * _GRID).astype("<i8")
    duration = np.rint(notes["duration_beat"] * _GRID).astype("<i8")
    pitch = notes["pitch"].astype("<i8") - int(notes["pitch"].min())
    order = np.lexsort((duration, pitch, onset))
    return hashlib.sha256(np.stack([onset, pitch, duration])[:, order].tobytes()).hexdigest()[:16]


def fingerprint(notes: np.ndarray, thin: int = 1) -> Fingerprint:
    """Return what a piece says, in two views; a view with too few notes is empty.

    Notes less than `CHORD_BEATS` after the one before belong to its chord: hands do not strike together. An n-gram
    of fewer than three different intervals (a scale, a repeated note, a trill) says nothing and is left out.

    Parameters
    ----------
    thin
        Only every so many-th n-gram is kept, the same ones in every piece; for corpora too large for memory.
    """
    if len(notes) == 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    order = np.lexsort((notes["pitch"], notes["onset_beat"]))
    onset, pitch = notes["onset_beat"][order], notes["pitch"][order].astype(np.int64)
    end = onset + notes["duration_beat"][order]
    chord = np.cumsum(np.diff(onset, prepend=onset[0]) > CHORD_BEATS)
    stream = np.lexsort((pitch, chord))
    tops = stream[np.flatnonzero(np.diff(chord, append=chord[-1] + 1))]
    line = _top_line(onset[tops], pitch[tops], end[tops])
    return _grams(np.diff(line), TOP_INTERVALS, thin), _grams(np.diff(pitch[stream]), STREAM_INTERVALS, thin)


def thinning(n_notes: int) -> int:
    """Return the `thin` with which the fingerprints of this many notes stay within `MOST_GRAMS` per view."""
    thin = 1
    while n_notes > MOST_GRAMS * thin:
        thin *= 2
    return thin


def families(pieces: Sequence[np.ndarray]) -> list[int]:
    """Return the family of each piece as the index of its first piece.

    Parameters
    ----------
    pieces
        Note arrays, shape (n_notes,) each. A piece with hardly any notes is a family of its own.
    """
    return families_of([fingerprint(notes) for notes in pieces])


def families_of(prints: Sequence[Fingerprint], thin: int = 1) -> list[int]:
    """Return the family of each fingerprint as the index of its first piece; no pieces give an empty list.

    An inverted index finds who shares an n-gram with whom. Each is compared with `NEIGHBOURS` others, and the fewer
    the more common the n-gram is (`COMPARISONS` in all, one each at least), so that the work grows with the corpus
    and not with its square; families stay whole because kinship is passed on.
    """
    order = sorted(range(len(prints)), key=lambda index: _name(prints[index]))
    parent = list(range(len(prints)))
    for view in (0, 1):
        for one, other in _kin([prints[index][view] for index in order], max(FEWEST_GRAMS // thin, 3)):
            first, second = _root(parent, order[one]), _root(parent, order[other])
            parent[max(first, second)] = min(first, second)
    return [_root(parent, index) for index in range(len(prints))]


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


def _top_line(onset: np.ndarray, pitch: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the pitches of the line on top: the highest of each chord, unless a higher note still sounds."""
    line: list[int] = []
    sounding_pitch, sounding_end = -1, -np.inf
    for at, height, until in zip(onset.tolist(), pitch.tolist(), end.tolist(), strict=True):
        if height >= sounding_pitch or at >= sounding_end - CHORD_BEATS / 2:
            line.append(height)
            sounding_pitch, sounding_end = height, until
    return np.array(line, np.int64)


def _grams(intervals: np.ndarray, length: int, thin: int) -> np.ndarray:
    if len(intervals) < length:
        return np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(intervals, length)
    ordered = np.sort(windows, axis=1)
    telling = np.count_nonzero(np.diff(ordered, axis=1), axis=1) >= 2
    hashed = np.zeros(len(windows), np.uint64)
    for column in range(length):
        hashed = (hashed ^ (windows[:, column] + 128).astype(np.uint64)) * _PRIME  # wraps round, as it is meant to
        hashed ^= hashed >> _SHIFT
    kept = np.unique(hashed[telling])
    return kept if thin == 1 else kept[kept % np.uint64(thin) == 0]


def _name(piece: Fingerprint) -> bytes:
    return hashlib.sha256(piece[0].tobytes() + b"/" + piece[1].tobytes()).digest()


def _kin(views: Sequence[np.ndarray], fewest: int) -> list[tuple[int, int]]:
    """Return the pairs of pieces of which the smaller shares more than `COVERAGE` of its n-grams with the other."""
    n_pieces = len(views)
    sizes = np.array([len(view) for view in views], np.int64)
    if sizes.sum() == 0:
        return []
    grams, owner = np.concatenate(views), np.repeat(np.arange(n_pieces), sizes)
    order = np.lexsort((owner, grams))
    grams, owner = grams[order], owner[order]
    first = np.flatnonzero(np.diff(grams, prepend=grams[0] - np.uint64(1)))
    group = np.diff(first, append=len(grams))
    compared = np.repeat(np.clip(COMPARISONS // group, 1, NEIGHBOURS), group)
    found = []
    for distance in range(1, NEIGHBOURS + 1):
        shared = (grams[distance:] == grams[:-distance]) & (compared[distance:] >= distance)
        found.append(owner[:-distance][shared] * n_pieces + owner[distance:][shared])
    pairs, counts = np.unique(np.concatenate(found), return_counts=True)
    one, other = pairs // n_pieces, pairs % n_pieces
    smaller = np.minimum(sizes[one], sizes[other])
    akin = (counts > COVERAGE * smaller) & (smaller >= fewest)
    return list(zip(one[akin].tolist(), other[akin].tolist(), strict=True))


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


def content_hashes(notes, bounds):
    from farm.music.encoding import NOTE

    out = []
    for a, b in zip(bounds[:-1], bounds[1:]):
        z = np.zeros(b - a, NOTE)
        for n in ("onset_beat", "duration_beat", "pitch"):
            z[n] = notes[n][a:b]
        out.append(content_hash(z))
    return out


class Fingerprints(list):
    @classmethod
    def joined(cls, many):
        return cls(x for one in many for x in one)


def fingerprints(notes, bounds, thin=1):
    from farm.music.encoding import NOTE

    out = Fingerprints()
    for a, b in zip(bounds[:-1], bounds[1:]):
        z = np.zeros(b - a, NOTE)
        for n in ("onset_beat", "duration_beat", "pitch"):
            z[n] = notes[n][a:b]
        out.append(fingerprint(z, thin))
    return out
