"""Families of near-duplicates: who says much of what another says, and whoever is kin to either.

Two pieces are kin when, in one of the views of their fingerprints, the one that says less shares `COVERAGE` of it with
the other, and `CHANCE` n-grams beyond that: the shorter a piece, the more of it any other may happen to say.

Conventions
-----------
Every decision depends on what the pieces say, never on their order. Work and memory grow with the corpus, not with
its square: who shares an n-gram is found in an inverted index, and is compared with a few others only.
"""

from collections.abc import Iterator

import numpy as np

from farm.music.fingerprints import Fingerprints, View

COVERAGE = 0.3
CHANCE = 4
CHANCE_WHEN_THINNED = 3  # at least: two of a handful are shared by accident
NEIGHBOURS = 16
COMPARISONS = 1024
SUSPICION = 0.4  # who is seen to share this part of what kin must share is compared in full
MOST_PAIRS = 1_000_000  # held in memory at a time
_SLAB_GRAMS = 500_000
_HALF = np.uint64(32)


def families_of(prints: Fingerprints) -> list[int]:
    """Return the family of each piece as the index of its first piece; no pieces give an empty list.

    A piece that says hardly anything is a family of its own.
    """
    # Pieces that say the same may stand in any order among themselves.
    order = np.lexsort([_sums(view) for view in prints])
    parent = list(range(len(order)))
    family = np.arange(len(order))
    for view in prints:
        for one, other in _kin(view, order, family):
            first, second = _root(parent, one), _root(parent, other)
            parent[max(first, second)] = min(first, second)
        family = np.array([_root(parent, index) for index in range(len(order))], np.int64)
    return family.tolist()


def _sums(view: View) -> np.ndarray:
    """Return a number for each piece, uint32, that depends on what it says."""
    sums = np.zeros(len(view.bounds) - 1, np.uint32)
    speaks = np.diff(view.bounds) > 0
    if speaks.any():
        sums[speaks] = np.add.reduceat(view.grams, view.bounds[:-1][speaks], dtype=np.uint32)
    return sums


def _kin(view: View, order: np.ndarray, family: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the pairs of pieces that are kin in this view, but for those that are of one family already."""
    sizes = np.diff(view.bounds)
    chance = max(CHANCE / view.thin, CHANCE_WHEN_THINNED)
    for one, other, met in _meetings(view, order):
        needed = COVERAGE * np.minimum(sizes[one], sizes[other]) + chance
        worth = (met >= SUSPICION * needed) & (family[one] != family[other])
        one, other, met, needed = one[worth], other[worth], met[worth], needed[worth]
        unsure = np.flatnonzero(met < needed)
        if len(unsure):
            met[unsure] = _shared(view, one[unsure], other[unsure])
        akin = met >= needed
        yield from zip(one[akin].tolist(), other[akin].tolist(), strict=True)


def _meetings(view: View, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pairs of pieces that have n-grams in common, and in how many they were seen to meet, in slabs.

    Among those who share an n-gram each meets `NEIGHBOURS` others, and the fewer the more common the n-gram is
    (`COMPARISONS` in all, one each at least). So two pieces may share more than they are seen to; those seen to share
    one only are left out.
    """
    parts = list(_shared_grams(view, order))
    load = np.cumsum(sum(np.bincount(owner, weights=reach, minlength=len(order)) for owner, reach in parts))
    start = 0
    for stop in np.searchsorted(load, np.arange(MOST_PAIRS, load[-1:].sum() + MOST_PAIRS, MOST_PAIRS)) + 1:
        found = []
        for owner, reach in parts:
            at = np.flatnonzero((owner >= start) & (owner < stop) & (reach > 0))
            for distance in range(1, NEIGHBOURS + 1):
                found.append(owner[at].astype(np.uint64) << _HALF | owner[at + distance])
                at = at[reach[at] > distance]
        start = stop
        pairs = np.concatenate(found)
        pairs.sort()
        new = np.ones(len(pairs) + 1, bool)
        np.not_equal(pairs[1:], pairs[:-1], out=new[1:-1])
        first = np.flatnonzero(new)
        met = first[1:] - first[:-1]
        often = met > 1
        pairs, met = pairs[first[:-1][often]], met[often]
        yield order[pairs >> _HALF], order[pairs.astype(np.uint32)], met


def _shared_grams(view: View, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield who shares n-grams with whom: places in `order`, n-gram by n-gram, and how many after it each meets."""
    rank = np.empty(len(order), np.uint32)
    rank[order] = np.arange(len(order), dtype=np.uint32)
    owner = np.repeat(rank, np.diff(view.bounds))
    n_slabs = len(owner) // _SLAB_GRAMS + 1
    for number in range(n_slabs):
        low, high = (2**32 * edge // n_slabs for edge in (number, number + 1))
        kept = (view.grams >= low) & (view.grams <= high - 1)
        yield _meeting_in(view.grams[kept], owner[kept])


def _meeting_in(grams: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keys = grams.astype(np.uint64) << _HALF | owner
    keys.sort()
    new = np.ones(len(keys) + 1, bool)
    np.not_equal(keys[1:] >> _HALF, keys[:-1] >> _HALF, out=new[1:-1])
    kept = ~(new[:-1] & new[1:])  # one that nobody else says makes no kin
    owner, new = keys[kept].astype(np.uint32), np.append(new[:-1][kept], True)
    first = np.flatnonzero(new)
    group = first[1:] - first[:-1]
    meets = np.clip(COMPARISONS // group, 1, NEIGHBOURS)
    left = np.repeat(first[1:] - 1, group) - np.arange(len(owner))
    return owner, np.minimum(np.repeat(meets, group), left).astype(np.uint8)


def _shared(view: View, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how many n-grams the two pieces of each pair have in common."""
    sizes = np.diff(view.bounds)
    asked, answering = np.where(sizes[one] <= sizes[other], (one, other), (other, one))
    counts = np.zeros(len(one), np.int64)
    work = np.cumsum(sizes[asked])
    start = 0
    for stop in np.searchsorted(work, np.arange(_SLAB_GRAMS, work[-1] + _SLAB_GRAMS, _SLAB_GRAMS)) + 1:
        size = sizes[asked[start:stop]]
        pair = np.repeat(np.arange(len(size)), size)
        place = np.arange(len(pair)) + np.repeat(view.bounds[asked[start:stop]] - np.cumsum(size) + size, size)
        said = _says(view, answering[start:stop][pair], view.grams[place])
        counts[start:stop] = np.bincount(pair[said], minlength=len(size))
        start = stop
    return counts


def _says(view: View, piece: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Tell whether each piece says the n-gram beside it: a binary search in all pieces at once."""
    low, high = view.bounds[piece], view.bounds[piece + 1] - 1  # the last n-gram that may be it
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        before = view.grams[middle] < gram
        low, high = np.where(before, middle + 1, low), np.where(before, high, middle)
        low = np.minimum(low, high)
    return view.grams[low] == gram


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
