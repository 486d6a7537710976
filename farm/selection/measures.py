"""The measures of a snapshot's samples, and the same of people's pieces, so that the two can be compared.

Conventions
-----------
Notes are arrays of dtype `farm.music.encoding.NOTE`. A level of people is [mean, 95th percentile], the 5th for
the measures of which more is better (`distinct4`, `known2`, `known3`, `n_pitches`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from farm.selection import repetition
from farm.selection.copying import FIXED, weights
from farm.selection.originality import Index

_MORE_IS_BETTER = ("distinct4", "known2", "known3", "n_pitches")
_MIN_WINDOWS = 8  # fewer, or fewer than four pieces, are a weak reference
_MIN_PIECES = 4
_MOST_STAND_INS = 120  # windows: enough for a percentile, and a few seconds
_NO_NUMBERS = ("longest", "quotes")


def snapshot_measures(samples: Sequence[np.ndarray], greedy: np.ndarray | None, index: Index) -> dict[str, Any]:
    """Return the measures of one snapshot: means over its drawn samples, and those of its greedy one.

    Returns
    -------
    rep_same, longest_run, distinct4, loop_share, n_pitches, cov8, cov12, cov16, known2, known3, lcs_mean: means;
    near8, near12, near16: means too. lcs_max and longest {notes, piece, bar, view, sample_start, sample}: the worst
    sample, `sample` counting from 0; quotes: those of every sample by view, in order, none for one without notes;
    greedy_rep, greedy_run, greedy_distinct4 where a greedy sample is given. Samples without notes are left out; when
    none has any, only the greedy measures are there.
    """
    measures: dict[str, Any] = {}
    rows = [(number, _measure(notes, index, ())) for number, notes in enumerate(samples) if len(notes)]
    if rows:
        names = [name for name in rows[0][1] if name not in ("lcs", *_NO_NUMBERS)]
        measures = {name: float(np.mean([row[name] for _, row in rows])) for name in names}
        measures["lcs_mean"] = float(np.mean([row["lcs"] for _, row in rows]))
        worst, row = max(rows, key=lambda numbered: numbered[1]["lcs"])
        measures["lcs_max"] = row["lcs"]
        measures["longest"] = {**row["longest"], "sample": worst}
        measures["quotes"] = [dict(rows).get(number, {}).get("quotes", {}) for number in range(len(samples))]
    if greedy is not None and len(greedy):
        found = repetition.measure(greedy)
        measures["greedy_rep"] = found["rep_same"]
        measures["greedy_run"] = found["longest_run"]
        measures["greedy_distinct4"] = found["distinct4"]
    return measures


def human_reference(
    heldout: Mapping[str, np.ndarray],
    index: Index,
    length: int,
    families: Mapping[str, Collection[str]] | None = None,
    stand_ins: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Return people's level: the measures of their pieces against the corpus, cut to the length of the samples.

    Longer excerpts have more chances of a long match, so pieces are cut into windows of `length` notes; a remainder
    shorter than half of it is left out unless it is the whole piece.

    Parameters
    ----------
    heldout
        Note arrays by piece id.
    length
        Notes of a sample.
    families
        For each piece the ids of its near relations in the index, itself included, which are not searched. Give it when
        training pieces stand in for held-out ones.
    stand_ins
        Training pieces that tell people's level besides the others: a percentile needs more music than most styles hold
        out. Some of their windows are taken, evenly. They are not sought in the `figures` of the index, where a piece
        cannot be told from itself.

    Returns
    -------
    Per measure [mean, percentile]; `lcs` instead of `lcs_mean`; pieces, windows: counts, stand-ins too; weak: true when
    there are fewer than four pieces or eight windows; quotes {pieces, weights}: by view the weight of the weightiest
    quote of each window. No pieces give only the counts and weak.
    """
    known, others = replace(index, figures=None), _windows(stand_ins or {}, length)
    asked = [(index, piece, window) for piece, window in _windows(heldout, length)]
    asked += [(known, piece, window) for piece, window in others[:: max(1, -(-len(others) // _MOST_STAND_INS))]]
    rows = [_measure(window, corpus, (families or {}).get(piece, ())) for corpus, piece, window in asked]
    n_pieces = len({piece for _, piece, _ in asked})
    reference: dict[str, Any] = {
        "pieces": n_pieces,
        "windows": len(rows),
        "weak": n_pieces < _MIN_PIECES or len(rows) < _MIN_WINDOWS,
    }
    if rows:
        told = [weights(row["quotes"]) for row in rows]
        reference["quotes"] = {"pieces": n_pieces, "weights": {name: [one[name] for one in told] for name in FIXED}}
    for name in rows[0] if rows else ():
        if name not in _NO_NUMBERS:
            values = [row[name] for row in rows]
            percentile = 5 if name in _MORE_IS_BETTER else 95
            reference[name] = [float(np.mean(values)), float(np.percentile(values, percentile))]
    return reference


def _windows(pieces: Mapping[str, np.ndarray], length: int) -> list[tuple[str, np.ndarray]]:
    return [(piece, window) for piece in sorted(pieces) for window in cut_windows(pieces[piece], length)]


def _measure(notes: np.ndarray, index: Index, exclude: Collection[str]) -> dict[str, Any]:
    return {**repetition.measure(notes), **index.measure(notes, exclude)}


def cut_windows(notes: np.ndarray, length: int) -> list[np.ndarray]:
    """Return a piece cut into windows of `length` notes, in order of onset; a short piece is one window."""
    ordered = notes[np.lexsort((notes["pitch"], notes["onset_beat"]))]
    if len(ordered) <= length:
        return [ordered] if len(ordered) else []
    cuts = [ordered[start : start + length] for start in range(0, len(ordered), length)]
    return [cut for cut in cuts if 2 * len(cut) >= length]
