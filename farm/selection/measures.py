"""The measures of a snapshot's samples, and the same of people's pieces, so that the two can be compared.

Conventions
-----------
Notes are arrays of dtype `farm.music.encoding.NOTE`. A level of people is [mean, 95th percentile], the 5th for
the measures of which more is better (`distinct4`, `known2`, `known3`, `n_pitches`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from farm.selection import repetition
from farm.selection.originality import Index

_MORE_IS_BETTER = ("distinct4", "known2", "known3", "n_pitches")
_MIN_WINDOWS = 8  # fewer, or fewer than four pieces, are a weak reference
_MIN_PIECES = 4


def snapshot_measures(samples: Sequence[np.ndarray], greedy: np.ndarray | None, index: Index) -> dict[str, Any]:
    """Return the measures of one snapshot: means over its drawn samples, and those of its greedy one.

    Returns
    -------
    rep_same, longest_run, distinct4, loop_share, n_pitches, cov8, cov12, cov16, known2, known3, lcs_mean: means;
    lcs_max and longest {notes, piece, bar, view, sample_start, sample}: the worst sample, `sample` counting from 0;
    greedy_rep, greedy_run, greedy_distinct4 where a greedy sample is given. Samples without notes are left out; when
    none has any, only the greedy measures are there.
    """
    measures: dict[str, Any] = {}
    rows = [(number, _measure(notes, index, ())) for number, notes in enumerate(samples) if len(notes)]
    if rows:
        names = [name for name in rows[0][1] if name not in ("lcs", "longest")]
        measures = {name: float(np.mean([row[name] for _, row in rows])) for name in names}
        measures["lcs_mean"] = float(np.mean([row["lcs"] for _, row in rows]))
        worst, row = max(rows, key=lambda numbered: numbered[1]["lcs"])
        measures["lcs_max"] = row["lcs"]
        measures["longest"] = {**row["longest"], "sample": worst}
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
) -> dict[str, Any]:
    """Return people's level: the measures of pieces the network never saw, cut to the length of the samples.

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
        there are no held-out pieces and training pieces stand in for them.

    Returns
    -------
    Per measure [mean, percentile]; `lcs` instead of `lcs_mean`; pieces, windows: counts; weak: true when there are
    fewer than four pieces or eight windows. No pieces give only the counts and weak.
    """
    rows, n_pieces = [], 0
    for piece in sorted(heldout):
        windows = _windows(heldout[piece], length)
        exclude = (families or {}).get(piece, ())
        rows += [_measure(window, index, exclude) for window in windows]
        n_pieces += bool(windows)
    reference: dict[str, Any] = {
        "pieces": n_pieces,
        "windows": len(rows),
        "weak": n_pieces < _MIN_PIECES or len(rows) < _MIN_WINDOWS,
    }
    for name in rows[0] if rows else ():
        if name != "longest":
            values = [row[name] for row in rows]
            percentile = 5 if name in _MORE_IS_BETTER else 95
            reference[name] = [float(np.mean(values)), float(np.percentile(values, percentile))]
    return reference


def _measure(notes: np.ndarray, index: Index, exclude: Collection[str]) -> dict[str, Any]:
    return {**repetition.measure(notes), **index.measure(notes, exclude)}


def _windows(notes: np.ndarray, length: int) -> list[np.ndarray]:
    """Return a piece cut into windows of `length` notes, in order of onset; a short piece is one window."""
    ordered = notes[np.lexsort((notes["pitch"], notes["onset_beat"]))]
    if len(ordered) <= length:
        return [ordered] if len(ordered) else []
    cuts = [ordered[start : start + length] for start in range(0, len(ordered), length)]
    return [cut for cut in cuts if 2 * len(cut) >= length]
