"""What a score shows: staves, voices, note values and spelling.

Conventions
-----------
Time is counted in twelfths of a beat (a quarter note); finer onsets are rounded. A key signature is a number of fifths:
sharps are positive, flats negative.

What is lost: in every beat of a staff notes go to sixteenths or to triplets, whichever fits their onsets; at
most four voices share a staff, and where a fifth would be needed the oldest note ends early.
"""

import re
from dataclasses import dataclass

import numpy as np

PER_BEAT = 12
MIDDLE_C = 60
MAX_VOICES = 4
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}

_GRIDS = (3, 4, 2)  # sixteenths, triplet eighths, triplet sixteenths
VALUES = {
    96: ("breve", 0, False),
    72: ("whole", 1, False),
    48: ("whole", 0, False),
    36: ("half", 1, False),
    24: ("half", 0, False),
    18: ("quarter", 1, False),
    12: ("quarter", 0, False),
    9: ("eighth", 1, False),
    8: ("quarter", 0, True),
    6: ("eighth", 0, False),
    4: ("eighth", 0, True),
    3: ("16th", 0, False),
    2: ("16th", 0, True),
    1: ("32nd", 0, True),
}
"""Length in twelfths to note type, dots and whether it belongs to a triplet; the longest first."""

_KEY = re.compile(r"\s*([A-Ga-g])\s*([#b♯♭-]?)\s*(major|minor|maj|min|m)?\s*", re.IGNORECASE)
_METRE = re.compile(r"([1-9]\d?)/(1|2|4|8|16|32)")
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}


@dataclass(frozen=True)
class Sheet:
    """What stands above the notes.

    Attributes
    ----------
    time_signature
        Such as '3/4'; what is no time signature ('other') is written as 4/4.
    key
        Such as 'D major' or 'f# minor'; None when it is not known.
    program
        General MIDI program, 0 is the grand piano.
    """

    title: str = "farm"
    tempo_bpm: float = 90.0
    time_signature: str = "4/4"
    key: str | None = None
    program: int = 0

    @property
    def metre(self) -> tuple[int, int]:
        """Beats in a bar and their unit."""
        match = _METRE.fullmatch(self.time_signature)
        return (int(match[1]), int(match[2])) if match else (4, 4)

    @property
    def signature(self) -> tuple[int, bool] | None:
        """Sharps (positive) or flats (negative) of the key, and whether it is minor; None when it is not known.

        Examples
        --------
        >>> Sheet(key="D major").signature, Sheet(key="c minor").signature, Sheet(key="Bb").signature
        ((2, False), (-3, True), (-2, False))
        """
        match = _KEY.fullmatch(self.key or "")
        if match is None:
            return None
        letter, sign, mode = match[1], match[2], match[3]
        minor = mode.lower() in ("minor", "min", "m") and mode != "M" if mode else letter.islower()
        fifths = _FIFTHS[letter.upper()] + 7 * (sign in ("#", "♯")) - 7 * (sign in ("b", "♭", "-")) - 3 * minor
        return (fifths, minor) if -7 <= fifths <= 7 else None


@dataclass
class Chord:
    """Notes of one staff that begin and end together."""

    start: int
    end: int
    pitches: list[int]


def nearest_signature(notes: np.ndarray) -> int:
    """Return the key signature, -6 to 6 fifths, whose scale leaves the fewest notes out; 0 for no notes."""
    counts = np.bincount(notes["pitch"] % 12, minlength=12)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    inside = {fifths: counts[(scale + 7 * fifths) % 12].sum() for fifths in range(-6, 7)}
    return min(inside, key=lambda fifths: (-inside[fifths], abs(fifths), -fifths))


def spelled(pitch: int, fifths: int) -> tuple[str, int, int]:
    """Return letter, alteration and octave of a pitch under a key signature.

    Of the spellings the one is taken that lies from three fifths below the scale's first note to eight above:
    in C from E flat to G sharp.

    Examples
    --------
    >>> spelled(61, 0), spelled(61, -4), spelled(59, -6)
    (('C', 1, 4), ('D', -1, 4), ('C', -1, 4))
    """
    place = (pitch * 7 - (fifths - 3)) % 12 + fifths - 3
    letter, alter = "FCGDAEB"[(place + 1) % 7], (place + 1) // 7
    return letter, alter, (pitch - alter) // 12 - 1


def split_length(start: int, length: int) -> list[int]:
    """Return note values, in twelfths, that add up to `length` and can be read where they stand.

    Within a beat values stay inside it; from a beat or half a beat on they may cross the next.

    Examples
    --------
    >>> split_length(0, 48), split_length(6, 12), split_length(8, 16), split_length(3, 12)
    ([48], [12], [4, 12], [9, 3])
    """
    values = []
    while length > 0:
        to_beat = PER_BEAT - start % PER_BEAT
        room = length if start % 6 == 0 else min(length, to_beat)
        fitting = [value for value in VALUES if value <= room]
        value = next(value for value in fitting if value <= to_beat or (value % 6 == 0 and not VALUES[value][2]))
        values.append(value)
        start += value
        length -= value
    return values


def staves_of(notes: np.ndarray) -> list[np.ndarray]:
    """Return the notes of each staff: one where the range fits on one, else two parted at middle C."""
    if len(notes) == 0 or notes["pitch"].min() >= 55 or notes["pitch"].max() <= 64:
        return [notes]
    return [notes[notes["pitch"] >= MIDDLE_C], notes[notes["pitch"] < MIDDLE_C]]


def _chords(notes: np.ndarray) -> list[Chord]:
    """Return the notes on a readable grid, those that begin and end together as one, ordered by start."""
    start = np.rint(notes["onset_beat"] * PER_BEAT).astype(int)
    end = np.rint((notes["onset_beat"] + notes["duration_beat"]) * PER_BEAT).astype(int)
    grids: dict[int, int] = {}
    for beat in np.unique(start // PER_BEAT):
        places = start[start // PER_BEAT == beat] % PER_BEAT
        grids[int(beat)] = next((grid for grid in _GRIDS if not (places % grid).any()), _GRIDS[0])
    groups: dict[tuple[int, int], list[int]] = {}
    for first, last, pitch in zip(start.tolist(), end.tolist(), notes["pitch"].tolist(), strict=True):
        grid = grids[first // PER_BEAT]
        first = _snap(first, grid)
        last = max(_snap(last, grids.get(last // PER_BEAT, _fitting(last))), first + grid)
        groups.setdefault((first, last), []).append(pitch)
    return [Chord(first, last, sorted(set(pitches))) for (first, last), pitches in sorted(groups.items())]


def _fitting(place: int) -> int:
    return next((grid for grid in _GRIDS if place % grid == 0), _GRIDS[0])


def _snap(place: int, grid: int) -> int:
    """Return the grid point nearest to a place, counted from its beat; the later one when two are as near."""
    beat, rest = divmod(place, PER_BEAT)
    return beat * PER_BEAT + (rest + grid // 2) // grid * grid


def voices_of(notes: np.ndarray) -> list[list[Chord]]:
    """Return the chords of one staff spread over at most four voices in which nothing overlaps; at least one voice."""
    voices: list[list[Chord]] = [[]]
    for chord in _chords(notes):
        free = next((voice for voice in voices if not voice or voice[-1].end <= chord.start), None)
        if free is not None:
            free.append(chord)
        elif len(voices) < MAX_VOICES:
            voices.append([chord])
        else:
            oldest = min(voices, key=lambda voice: voice[-1].start)
            if oldest[-1].start == chord.start:
                oldest[-1].pitches = sorted({*oldest[-1].pitches, *chord.pitches})
            else:
                oldest[-1].end = chord.start
                oldest.append(chord)
    return voices


def accidentals(voices: list[list[Chord]], span: tuple[int, int], fifths: int) -> dict[tuple[int, int], str]:
    """Return which (start, pitch) of a bar of one staff needs an accidental in print, in the order of reading."""
    now: dict[tuple[str, int], int] = {}
    signs = {}
    begun = [chord for voice in voices for chord in voice if span[0] <= chord.start < span[1]]
    for chord in sorted(begun, key=lambda chord: chord.start):
        for pitch in chord.pitches:
            letter, alter, octave = spelled(pitch, fifths)
            of_key = (fifths + 6 - "FCGDAEB".index(letter)) // 7
            if now.get((letter, octave), of_key) != alter:
                signs[chord.start, pitch] = ACCIDENTALS[alter]
            now[letter, octave] = alter
    return signs
