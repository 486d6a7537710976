"""The figures of a corpus as hashes: copies of twelve notes and more can be found without the corpus itself.

A network that starts from another farm's base may copy what that farm's music holds. The music stays there; the hashes
of its figures come along.

Conventions
-----------
A *figure* is `NOTES` notes on end in a view of `farm.selection.tokens`, which is one token fewer. Hashes are uint64;
of a million figures and a thousand asked for, a false match comes up once in twenty million times.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from farm.selection.tokens import VIEWS, tokens

NOTES = 12
_TOKENS = NOTES - 1
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


@dataclass(frozen=True)
class Figures:
    """The figures of a corpus: for each view their hashes, ascending and without repeats."""

    views: Mapping[str, np.ndarray]

    @classmethod
    def build(cls, pieces: Iterable[np.ndarray]) -> "Figures":
        """Return the figures of note arrays; pieces of fewer than `NOTES` notes have none."""
        listed = list(pieces)
        found = {name: [hashes(tokens(notes, name)) for notes in listed] for name in VIEWS}
        return cls({name: np.unique(np.concatenate([*parts, np.zeros(0, np.uint64)])) for name, parts in found.items()})

    def match(self, query: np.ndarray, view: str) -> np.ndarray:
        """Return for every token of a query how many from there on are figures on end, 0 where none begins.

        Figures that follow each other in the query need not do so in one piece of the corpus, so long matches may be
        told longer than they are.

        Parameters
        ----------
        query
            Tokens of the view, shape (n,).
        """
        lengths = np.zeros(len(query), np.int64)
        asked, known = hashes(query), self.views[view]
        if len(asked) == 0 or len(known) == 0:
            return lengths
        hits = known[np.minimum(np.searchsorted(known, asked), len(known) - 1)] == asked
        # how many hits follow on end, counted from the right: the distance to the next miss
        misses = np.append(np.flatnonzero(~hits), len(hits))
        on_end = misses[np.searchsorted(misses, np.arange(len(hits)))] - np.arange(len(hits))
        lengths[: len(hits)] = np.where(hits, on_end + _TOKENS - 1, 0)
        return lengths


def hashes(stream: np.ndarray) -> np.ndarray:
    """Return the hash of each figure in a stream of tokens, uint64, shape (n - 10,); a shorter stream has none."""
    count = len(stream) - _TOKENS + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    values = stream.astype(np.uint64)
    mixed = np.zeros(count, np.uint64)
    for place in range(_TOKENS):  # wraps around, as hashes do
        mixed = (mixed ^ values[place : place + count]) * _PRIME
        mixed ^= mixed >> _SHIFT
    return mixed
