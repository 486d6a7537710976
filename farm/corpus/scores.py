"""Scores to notes: ties merged, measures laid out as bars, one reading per tune.

This module walks what the score parser returns without importing it: an element is known by the names of its
classes. Repeats are read once, as written. Grace notes have no duration of their own and are dropped, unpitched
percussion has no pitch and is dropped; chord symbols are no notes.

Conventions
-----------
A *measure* is what stands between two bar lines of the file; a *bar* is a full unit of the metre. They differ at
upbeats and at repeats in the middle of a bar. A tie's second note is no note of its own: it is counted under `tied`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from farm.corpus.bars import TOLERANCE_BEATS, Bars, is_signature, lay_bars, predominant_signature
from farm.corpus.reading import DEFAULT_BPM, MAX_BEATS, SCORE_TICKS_PER_BEAT, SOUND_TYPES, Reading, Sounds, counted
from farm.errors import ReadError

SCORE_VELOCITY = 64


@dataclass
class Part:
    """The notes of one part while it is walked, in beats from its first measure's first note or rest."""

    onsets: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    pitches: list[int] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)
    measures: list[float] = field(default_factory=list)
    end: float = 0.0
    signatures: list[tuple[float, str]] = field(default_factory=list)
    tempos: list[tuple[float, float]] = field(default_factory=list)
    tied: dict[int, int] = field(default_factory=dict)

    def add(self, onset: float, duration: float, pitch: int, tie: str | None) -> None:
        """Add a note, or lengthen the one that is tied to it.

        Parameters
        ----------
        tie
            `start`, `stop`, `continue` or None: where this note stands in a tie.
        """
        if not 0 <= pitch <= 127:
            self.drops["out-of-range"] += 1
            return
        if duration <= 0:
            self.drops["zero-length"] += 1
            return
        first = self.tied.pop(pitch, None)  # scores leave out the end of a tie: what follows at once belongs to it
        if first is not None and abs(self.onsets[first] + self.durations[first] - onset) < TOLERANCE_BEATS:
            self.durations[first] = onset + duration - self.onsets[first]
            self.drops["tied"] += 1
        else:
            first = len(self.onsets)
            self.onsets.append(onset)
            self.durations.append(duration)
            self.pitches.append(pitch)
        if tie in ("start", "continue"):
            self.tied[pitch] = first
        self.end = max(self.end, onset + duration)


def assemble(tune: str, file_format: str, parts: Sequence[Part]) -> Reading:
    """Return the reading of a score's parts; the first part with measures says where the bars are.

    Raises
    ------
    ReadError
        `no-notes` when there is nothing to sound, `too-long`.
    """
    if not any(part.onsets for part in parts):
        raise ReadError("no-notes", "the score holds no pitched notes")
    end = max(part.end for part in parts)
    if end > MAX_BEATS:
        raise ReadError("too-long", f"{end:.0f} beats, at most {MAX_BEATS} are read")
    leading = next((part for part in parts if part.measures), parts[0])
    signatures = next((part.signatures for part in (leading, *parts) if part.signatures), [])
    bars = lay_bars(leading.measures, end, signatures)
    drops: Counter[str] = Counter()
    for part in parts:
        drops += part.drops
    tempos = sorted({change for part in parts for change in part.tempos}) or [(0.0, DEFAULT_BPM)]
    counts = [len(part.onsets) for part in parts]
    return Reading(
        tune,
        file_format,
        [(0, False, count) for count in counts],
        SCORE_TICKS_PER_BEAT,
        notes_in_file=sum(counts) + drops.total(),
        drops=counted(drops),
        tempos=[(beat + bars.upbeat_beats if beat > 0 else 0.0, bpm) for beat, bpm in tempos],
        bars=bars.stretches(),
        time_signature=_signature(signatures, bars, end),
        sounds=_sounds(parts, bars.upbeat_beats),
    )


def _sounds(parts: Sequence[Part], upbeat_beats: float) -> Sounds:
    """Return the notes of all parts in ticks; a note shorter than half a tick has one."""
    onsets = np.array([onset for part in parts for onset in part.onsets], float) + upbeat_beats
    durations = np.array([duration for part in parts for duration in part.durations], float)
    pitches = [pitch for part in parts for pitch in part.pitches]
    onset, duration = (np.rint(beats * SCORE_TICKS_PER_BEAT) for beats in (onsets, durations))
    columns = (onset, np.maximum(duration, 1), pitches, np.full(len(pitches), SCORE_VELOCITY))
    return Sounds(*(np.asarray(column).astype(dtype) for column, dtype in zip(columns, SOUND_TYPES, strict=True)))


def _signature(signatures: Sequence[tuple[float, str]], bars: Bars, end: float) -> str | None:
    """Return the metre that holds longest; without signatures, the one whose bar is as long as the measures are."""
    if signatures:
        first = (0.0, signatures[0][1])
        return predominant_signature([first, *signatures], max(end, TOLERANCE_BEATS))
    if len(bars.starts) == 1:
        return None
    return {2.0: "2/4", 3.0: "3/4", 4.0: "4/4", 6.0: "3/2", 8.0: "4/2"}.get(float(bars.lengths[0]))


def walk_score(score: Any) -> list[Part]:
    """Return the parts of a parsed score, in the order of the score."""
    return [_walk_part(part) for part in (score.parts or [score])]


def _walk_part(stream: Any) -> Part:
    part, transpose = Part(), 0
    for onset, element in _elements(stream, 0.0, part):
        classes = element.classSet
        if "GeneralNote" in classes:
            _add_sound(part, onset, element, classes, transpose)
        elif "TimeSignature" in classes:
            if is_signature(element.numerator, element.denominator):
                part.signatures.append((onset, f"{element.numerator}/{element.denominator}"))
        elif "MetronomeMark" in classes:
            bpm = element.getQuarterBPM()
            if bpm:
                part.tempos.append((onset, float(bpm)))
        elif "Instrument" in classes and element.transposition is not None:
            transpose = round(element.transposition.semitones)
    return part


def _elements(stream: Any, start: float, part: Part) -> Iterator[tuple[float, Any]]:
    """Yield onset and element of everything in a part, measure by measure and voice by voice."""
    for element in stream.elements:
        onset = start + float(stream.elementOffset(element))
        if element.isStream:
            if "Measure" in element.classSet:
                part.measures.append(onset)
            yield from _elements(element, onset, part)
        else:
            yield onset, element


def _add_sound(part: Part, onset: float, element: Any, classes: frozenset[Any], transpose: int) -> None:
    """Add a note or every note of a chord; a rest only lengthens the part."""
    if "Harmony" in classes:
        return
    duration = float(element.duration.quarterLength)
    if "NotRest" not in classes:
        part.end = max(part.end, onset + duration)
        return
    for note in element.notes if "ChordBase" in classes else (element,):
        if element.duration.isGrace:
            part.drops["grace"] += 1
        elif "Unpitched" in note.classSet:
            part.drops["unpitched"] += 1
            part.end = max(part.end, onset + duration)
        else:
            tie = note.tie or element.tie
            part.add(onset, duration, round(note.pitch.ps) + transpose, tie.type if tie else None)
