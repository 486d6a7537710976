"""Bars: from the measures of a score, or from the time signatures of a MIDI file.

Conventions
-----------
A *measure* is what stands between two bar lines of a file; a *bar* is a full unit of the metre. They differ at
upbeats and at repeats in the middle of a bar. Bars count from 0, beats are quarter notes.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from farm.corpus.reading import MAX_BEATS

TOLERANCE_BEATS = 1e-4
"""Less than any note is long, more than what thirds and sevenths of a beat lose in floating point."""


@dataclass(frozen=True)
class Bars:
    """Where each measure lies in the bars of its metre; arrays of shape (n_measures,).

    Attributes
    ----------
    upbeat_beats
        What is missing in the first bar before the first measure: every onset moves on by it.
    """

    starts: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    upbeat_beats: float

    def stretches(self) -> list[tuple[float, int, float, float]]:
        """Return every measure as a stretch of equal bars, as `Reading.bars`, the upbeat's missing beats added."""
        starts = (self.starts + self.upbeat_beats).tolist()
        return list(zip(starts, self.numbers.tolist(), self.offsets.tolist(), self.lengths.tolist(), strict=True))


def lay_bars(measures: Sequence[float], end: float, signatures: Sequence[tuple[float, str]]) -> Bars:
    """Lay measures out as bars.

    A short first measure is an upbeat and is aligned to the end of its bar. A short measure after a full one is the
    upbeat of a new section when a full one follows it. Two short measures that fit into one bar are one bar that a
    repeat sign cut. A measure longer than its bar is several bars whose lines were left out.

    Parameters
    ----------
    measures
        Start of every measure in beats, ascending; none is one measure.
    end
        Beat at which the last measure ends.
    signatures
        Beat and time signature of every change. Without any, the most frequent length of a measure is the bar.
    """
    starts = np.array(measures or [0.0], float)
    lengths = np.diff(starts, append=max(end, starts[-1]))
    nominal = _nominal_beats(starts, lengths, signatures)
    short = lengths < nominal - TOLERANCE_BEATS
    numbers, offsets = np.zeros(len(starts), np.int64), np.zeros(len(starts))
    if short[0] and len(starts) > 1 and lengths[0] > 0:
        offsets[0] = nominal[0] - lengths[0]
    filled = offsets[0] + lengths[0]
    for index in range(1, len(starts)):
        is_last = index == len(starts) - 1
        was_full = filled >= nominal[index - 1] - TOLERANCE_BEATS
        if not was_full and short[index] and filled + lengths[index] <= nominal[index] + TOLERANCE_BEATS:
            numbers[index], offsets[index] = numbers[index - 1], filled
        else:
            passed = np.ceil(filled / nominal[index - 1] - TOLERANCE_BEATS)
            numbers[index] = numbers[index - 1] + max(int(passed), 1)
            if short[index] and was_full and not is_last and not short[index + 1]:
                offsets[index] = nominal[index] - lengths[index]
        filled = offsets[index] + lengths[index]
    return Bars(starts, numbers, offsets, nominal, float(offsets[0]))


def _nominal_beats(starts: np.ndarray, lengths: np.ndarray, signatures: Sequence[tuple[float, str]]) -> np.ndarray:
    """Return the length a full bar has at each measure."""
    if not signatures:
        usual = Counter(np.round(lengths[lengths > 0], 6).tolist()).most_common(1) if len(lengths) > 1 else []
        return np.full(len(starts), usual[0][0] if usual else 4.0)
    ordered = sorted(signatures, key=lambda change: change[0])
    at = np.searchsorted([beat for beat, _ in ordered], starts + TOLERANCE_BEATS, side="right") - 1
    return np.array([bar_beats(ordered[max(index, 0)][1]) for index in at])


def bars_by_signature(changes: Sequence[tuple[float, str]]) -> list[tuple[float, int, float, float]]:
    """Return the stretches of equal bars where only time signatures are known, as in MIDI; as `Reading.bars`.

    Parameters
    ----------
    changes
        Beat and time signature of every change; 4/4 before the first. A change in the middle of a bar starts a bar.
    """
    stretches: list[tuple[float, int, float, float]] = []
    for start, signature in _signature_spans(changes):
        number = 0
        if stretches:
            before, first, _, length = stretches[-1]
            number = first + math.ceil((start - before) / length - TOLERANCE_BEATS)
        stretches.append((start, number, 0.0, bar_beats(signature)))
    return stretches


def predominant_signature(changes: Sequence[tuple[float, str]], end_beat: float) -> str:
    """Return the time signature that holds for most of the beats; the earlier one when two hold as long."""
    spans = _signature_spans(changes)
    if len(spans) == 1:
        return spans[0][1]
    kept = [*spans, (end_beat, "")]
    lasting: dict[str, float] = {}
    for (beat, signature), (until, _) in pairwise(kept):
        lasting[signature] = lasting.get(signature, 0.0) + max(min(until, end_beat) - beat, 0.0)
    return max(lasting, key=lasting.__getitem__)


def bar_beats(signature: str) -> float:
    """Return the length of a bar in beats.

    >>> bar_beats("6/8")
    3.0
    """
    count, unit = (int(part) for part in signature.split("/"))
    return count * 4 / unit


def is_signature(count: int, unit: int) -> bool:
    """Tell whether a time signature can be meant: damaged files hold bars of no beats."""
    return 0 < count <= 64 and unit in (1, 2, 4, 8, 16, 32, 64)


def _signature_spans(changes: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the changes by beat, one a beat, with 4/4 at 0 unless another is given there; none after all notes."""
    spans = {0.0: "4/4"}
    for beat, signature in sorted(changes, key=lambda change: change[0]):
        if beat <= MAX_BEATS:
            spans[max(float(beat), 0.0)] = signature
    return list(spans.items())
