"""The corpus as pictures: which bars, which sentence and which numbers each histogram of a style's page is made of.

Conventions
-----------
Pitches and note values are shares of the notes; keys, metres, tempos and lengths count pieces. Every picture has a
sentence with what stands out and a `Grid` with the numbers behind it. A picture without numbers is left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markupsafe import Markup

from farm.website.corpus_figures import Bars, bars
from farm.website.counts import SECONDS_EDGES, TEMPO_EDGES, Corpus, NoteCounts, Spread
from farm.website.measures import Grid
from farm.website.text import clock, count, pitch_name, plural, share, shortened

_PIANO = range(21, 109)
_VALUES = ("1/32", "1/16", "1/8", "1/4", "1/2", "whole")
_METRE = re.compile(r"[1-9][0-9]?/[1-9][0-9]?")
_MOST_METRES = 6
_KEY = re.compile(r"([A-Ga-g])([#♯b♭-]?) (major|minor)")
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1, "-": -1}
_LETTERS = "FCGDAEB"  # a fifth apart
_MAJORS = ("D♭", "A♭", "E♭", "B♭", "F", "C", "G", "D", "A", "E", "B", "F♯")
_MINORS = ("b♭", "f", "c", "g", "d", "a", "e", "b", "f♯", "c♯", "g♯", "d♯")
_KEYS = tuple(f"{key} {mode}" for pair in zip(_MAJORS, _MINORS, strict=True)
              for key, mode in zip(pair, ("major", "minor"), strict=True))  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One histogram, with what it says in a sentence and in numbers."""

    title: str
    unit: str
    said: str
    svg: Markup
    numbers: Grid


def pictures(corpus: Corpus, notes: NoteCounts | None) -> tuple[Picture, ...]:
    """Return the histograms of a style; those of the notes only when the notes are there."""
    of_notes = [_pitches(notes.pitches), _values(notes.values, corpus.time_bases.get("seconds", 0))] if notes else []
    of_pieces = [_keys(corpus.keys), _metres(corpus.metres), _tempos(corpus.tempos), _lengths(corpus.lengths)]
    return tuple(picture for picture in (*of_notes, *of_pieces) if picture)


def _pitches(pitches: Sequence[int]) -> Picture | None:
    total = sum(pitches)
    if not total:
        return None
    heard = [pitch for pitch, number in enumerate(pitches) if number]
    low, high = (pitch_name(_quantile(pitches, part)) for part in (0.25, 0.75))
    said = f"Half of the notes lie from {low} to {high}, all of them from {pitch_name(heard[0])} to "
    said += f"{pitch_name(heard[-1])}. C4 is middle C."
    beyond = sum(number for pitch, number in enumerate(pitches) if pitch not in _PIANO)
    said += f" {plural(beyond, 'note')} beyond a piano's keys stand only among the numbers." if beyond else ""
    shown = Bars(
        lefts=tuple(pitch - 0.42 for pitch in _PIANO),
        heights=tuple(pitches[pitch] / total for pitch in _PIANO),
        width=0.84,
        span=(_PIANO.start - 1.0, float(_PIANO.stop)),
        ticks=tuple((float(pitch), pitch_name(pitch)) for pitch in _PIANO if pitch % 12 == 0),
        is_share=True,
    )
    rows = [(pitch_name(pitch), pitches[pitch]) for pitch in heard]
    return _picture("Pitch", "share of notes, by semitone", said, shown, rows)


def _values(values: Sequence[int], live: int) -> Picture | None:
    """Draw note values: every second class is a plain value; `live` pieces are timed in seconds, not in beats."""
    total = sum(values)
    if not total:
        return None
    between = [f"between {low} and {high}" for low, high in pairwise(_VALUES)]
    names = ["shorter than 1/32", *_VALUES, "longer than whole"]
    names[2:-1] = [name for pair in zip(between, _VALUES[1:], strict=True) for name in pair]
    plain = range(1, len(values), 2)
    most = max(plain, key=lambda index: (values[index], -index))
    said = f"Most frequent: {names[most]}, {share(values[most] / total)} of the notes. Pale bars hold what lies "
    said += f"between: dotted notes and triplets, {share(sum(values[2:-2:2]) / total)}."
    said += f" {plural(live, 'piece keeps', 'pieces keep')} no beat; there the values are rough." if live else ""
    ticks = tuple((float(index), name) for index, name in zip(plain, _VALUES, strict=True))
    pale = frozenset(range(0, len(values), 2))
    shown = _side_by_side([number / total for number in values], ticks, is_share=True, pale=pale)
    return _picture("Note values", "share of notes, by length", said, shown, list(zip(names, values, strict=True)))


def _keys(keys: Sequence[tuple[str, int]]) -> Picture | None:
    """Draw the circle of fifths, cut open: each major key beside the minor key with the same signature."""
    numbers = [0] * len(_KEYS)
    others = []
    for key, number in keys:
        place = ring_place(key)
        if place is None:
            others.append((key, number))
        else:
            numbers[place] += number
    total, major = sum(numbers), sum(numbers[::2])
    if not total:
        return None
    most = max(range(len(numbers)), key=lambda place: (numbers[place], -place))
    said = f"Most frequent: {_KEYS[most]}, {plural(numbers[most], 'piece')}. In major (strong) {count(major)}, "
    said += f"in minor (pale) {count(total - major)}, estimated from the notes."
    shown = Bars(
        lefts=tuple(float(place) - 0.36 - 0.08 * (place % 2) for place in range(len(numbers))),
        heights=tuple(map(float, numbers)),
        width=0.8,
        span=(-0.9, len(numbers) - 0.1),
        ticks=tuple((2 * at + 0.5, f"{_MAJORS[at]}\n{_MINORS[at]}") for at in range(len(_MAJORS))),
        is_share=False,
        pale=frozenset(range(1, len(numbers), 2)),
    )
    rows = [(name, number) for name, number in zip(_KEYS, numbers, strict=True) if number]
    return _picture("Keys", "pieces, along the circle of fifths", said, shown, rows + others)


def ring_place(key: str) -> int | None:
    """Return where a key stands on the circle of fifths, from D♭ major: even places major, odd their relative minor.

    Examples
    --------
    >>> ring_place("D- major"), ring_place("C major"), ring_place("a minor"), ring_place("e- minor"), ring_place("?")
    (0, 10, 11, 23, None)
    """
    found = _KEY.fullmatch(key)
    if not found:
        return None
    letter, sign, mode = found.groups()
    sharps = _LETTERS.index(letter.upper()) - 1 + 7 * _SIGNS[sign] - 3 * (mode == "minor")
    return 2 * ((sharps + 5) % 12) + (mode == "minor")


def _metres(metres: Sequence[tuple[str, int]]) -> Picture | None:
    if not metres:
        return None
    named = [(metre, number) for metre, number in metres if _METRE.fullmatch(metre)][:_MOST_METRES]
    total = sum(number for _, number in metres)
    rest = total - sum(number for _, number in named)
    drawn = [*named, *([("other", rest)] if rest else [])]
    most, often = metres[0]
    said = f"{shortened(most, 40)} in {count(often)} of {plural(total, 'piece')}; the one that holds longest."
    ticks = tuple((float(index), metre) for index, (metre, _) in enumerate(drawn))
    # A few bars keep the width they have among many.
    numbers = [float(number) for _, number in drawn] + [0.0] * (_MOST_METRES + 1 - len(drawn))
    return _picture("Metres", "pieces", said, _side_by_side(numbers, ticks, is_share=False), list(metres))


def _tempos(tempos: Spread) -> Picture | None:
    if not tempos.total:
        return None
    edges = [f"{edge:.0f}" for edge in TEMPO_EDGES]
    middle = [f"{value:.0f}" for value in tempos.quartiles]
    said = _middle(tempos.total, "go at", middle, "beats a minute")
    said += " A file that names no tempo counts as 120." if "120" in middle else ""
    return _edged("Tempo", "pieces, by beats a minute", said, tempos, edges)


def _lengths(lengths: Spread) -> Picture | None:
    if not lengths.total:
        return None
    said = _middle(lengths.total, "last", [clock(value) for value in lengths.quartiles], "minutes")
    return _edged("Length", "pieces, by minutes", said, lengths, [clock(edge) for edge in SECONDS_EDGES])


def _middle(total: int, verb: str, quartiles: Sequence[str], unit: str) -> str:
    """Return how the middle half of the pieces is spread, as a sentence."""
    low, middle, high = quartiles
    if total == 1:
        return f"The one piece: {middle} {unit}."
    if low == high:
        return f"At least half of the pieces {verb} {middle} {unit}."
    return f"Half of the pieces {verb} {low} to {high} {unit}, the middle one {middle}."


def _edged(title: str, unit: str, said: str, spread: Spread, edges: Sequence[str]) -> Picture:
    """Return a picture whose axis names the edges between classes."""
    ticks = tuple((index + 0.5, edge) for index, edge in enumerate(edges))
    shown = _side_by_side(list(map(float, spread.counts)), ticks, is_share=False)
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    names = [f"below {edges[0]}", *between, f"{edges[-1]} and more"]
    rows = [(name, number) for name, number in zip(names, spread.counts, strict=True) if number]
    return _picture(title, unit, said, shown, rows)


def _side_by_side(
    heights: Sequence[float],
    ticks: tuple[tuple[float, str], ...],
    *,
    is_share: bool,
    pale: frozenset[int] = frozenset(),
) -> Bars:
    lefts = tuple(index - 0.42 for index in range(len(heights)))
    return Bars(lefts, tuple(heights), 0.84, (-0.6, len(heights) - 0.4), ticks, is_share, pale)


def _picture(title: str, unit: str, said: str, shown: Bars, rows: Iterable[tuple[str, int]]) -> Picture:
    """Return the drawn picture with its numbers; the share is of all that were counted."""
    rows = [(shortened(key, 40), number) for key, number in rows]
    total = sum(number for _, number in rows)
    noun = "Notes" if shown.is_share else "Pieces"
    numbers = Grid((title, noun, "Share"), tuple((key, count(number), share(number / total)) for key, number in rows))
    return Picture(title, unit, said, bars(shown, f"{title}: {unit}. {said}"), numbers)


def _quantile(numbers: Sequence[int], part: float) -> int:
    """Return the first index up to which at least this part of the sum lies."""
    total = sum(numbers)
    return next(index for index, reached in enumerate(accumulate(numbers)) if reached >= part * total)
