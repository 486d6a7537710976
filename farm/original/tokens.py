"""Notes to the original program's tokens and back: a pitch name, or the pitch classes of a chord; all else is lost.

Conventions
-----------
Notes that begin on the same twelfth of a beat are one token. One note is its pitch name with octave as music21
spells it (`C4` is pitch 60; `C#`, `E-`, `F#`, `G#`, `B-` for the others), several are their pitch classes in normal
order (A. Forte, "The Structure of Atonal Music", 1973) with dots between, such as `7.11.2`. Below octave 0 the
number stands in brackets, because music21's `E-1` may be two pitches. Every event is half a beat after the one before.

What is lost: durations, rests, velocities, bars, voices, the octaves and doublings of chords. The vocabulary is
every token of a corpus in alphabetical order, and a token's code is its place there.
"""

from collections.abc import Sequence

import numpy as np

from farm.music.encoding import NOTE, STEPS_PER_BEAT

EVENT_BEATS = 0.5
BAR_BEATS = 4
VELOCITY = 64
CHORD_OCTAVE = 60  # a pitch class without an octave sounds in the one of middle C, as in music21

_CLASSES = ("C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B")


def _named(pitch: int) -> str:
    octave = pitch // 12 - 1
    return f"{_CLASSES[pitch % 12]}{octave if octave >= 0 else f'({octave})'}"


_NAMES = tuple(_named(pitch) for pitch in range(128))
_PITCHES = {name: pitch for pitch, name in enumerate(_NAMES)}
_CHORD_CLASSES = {str(number): number for number in range(12)}


def tokenize(notes: np.ndarray) -> list[str]:
    """Return the tokens of one piece, in order of onset; no notes give none.

    Parameters
    ----------
    notes
        Note array, any order.

    Examples
    --------
    >>> piece = np.zeros(4, NOTE)
    >>> piece["onset_beat"], piece["pitch"] = [0, 1, 1, 1], [60, 67, 71, 74]
    >>> tokenize(piece)
    ['C4', '7.11.2']
    """
    steps = np.rint(notes["onset_beat"] * STEPS_PER_BEAT).astype(np.int64)
    order = np.lexsort((notes["pitch"], steps))
    begins = np.flatnonzero(np.diff(steps[order], prepend=-(2**62)))
    return [_token(together.tolist()) for together in np.split(notes["pitch"][order], begins[1:]) if len(together)]


def detokenize(tokens: Sequence[str]) -> np.ndarray:
    """Return the note array of tokens: half a beat each, four beats a bar, chords in the octave of middle C.

    Raises
    ------
    KeyError
        For a name that is no token.
    """
    chords = [_sounding(token) for token in tokens]
    events = np.repeat(np.arange(len(chords)), [len(chord) for chord in chords])
    notes = np.zeros(len(events), NOTE)
    notes["onset_beat"] = events * EVENT_BEATS
    notes["duration_beat"] = EVENT_BEATS
    notes["pitch"] = [pitch for chord in chords for pitch in chord]
    notes["velocity"] = VELOCITY
    notes["beat_in_bar"] = notes["onset_beat"] % BAR_BEATS
    return notes


def heard(notes: np.ndarray) -> np.ndarray:
    """Return what is left of a piece for such a program: the notes of its tokens.

    Copies and loops are looked for in it. Held against the piece as it was, no copy would ever be found, because
    every duration differs.
    """
    return detokenize(tokenize(notes))


def vocabulary(pieces: Sequence[Sequence[str]]) -> list[str]:
    """Return every token of the pieces once, in alphabetical order."""
    return sorted({token for piece in pieces for token in piece})


def codes(tokens: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Return the place of each token in a vocabulary, int32; KeyError for one that is not in it."""
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[token] for token in tokens], np.int32)


def normal_order(classes: Sequence[int]) -> list[int]:
    """Return different pitch classes in their most compact order, of equals the one packed closest to its beginning.

    Examples
    --------
    >>> normal_order([0, 4, 7, 9])
    [4, 7, 9, 0]
    """
    ordered = sorted(classes)
    turns = [ordered[index:] + ordered[:index] for index in range(len(ordered))]

    def compactness(turn: list[int]) -> tuple[int, ...]:
        steps = [(one - turn[0]) % 12 for one in turn]
        return (steps[-1], *steps[1:-1], turn[0])

    return min(turns, key=compactness)


def _token(pitches: Sequence[int]) -> str:
    """Return the token of notes that begin together; one note struck twice is a chord of one class, as in music21."""
    if len(pitches) == 1:
        return _NAMES[pitches[0]]
    return ".".join(map(str, normal_order(list({pitch % 12 for pitch in pitches}))))


def _sounding(token: str) -> list[int]:
    """Return the pitches of a token, ascending."""
    if token in _PITCHES:
        return [_PITCHES[token]]
    return sorted(CHORD_OCTAVE + _CHORD_CLASSES[name] for name in token.split("."))
