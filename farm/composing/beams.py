"""Which short notes of a voice are written under one beam; pure.

Conventions
-----------
Time is counted in twelfths of a beat (a quarter note), as in `farm.composing.notation`. A *state* is MusicXML's word
for what a beam does at a note: begin, continue, end, or a hook where it has no neighbour.
"""

from collections.abc import Sequence

from farm.composing.notation import PER_BEAT, VALUES

_LEVELS = {"eighth": 1, "16th": 2, "32nd": 3}


def group_length(metre: tuple[int, int]) -> int:
    """Return the length that a beam never crosses: a beat, or three eighths where those are the beat.

    Examples
    --------
    >>> group_length((4, 4)), group_length((6, 8)), group_length((5, 8))
    (12, 18, 12)
    """
    beats, unit = metre
    return 3 * PER_BEAT // 2 if unit == 8 and beats % 3 == 0 else PER_BEAT


def beams(notes: Sequence[tuple[int, int]], group: int) -> list[tuple[str, ...]]:
    """Return the states of the beams of each note, the first beam's first; none for a note without a beam.

    Parameters
    ----------
    notes
        Start in the bar and length of each note, or chord, of one voice, by start; rests are left out.
    group
        See `group_length`.

    Examples
    --------
    >>> beams([(0, 6), (6, 3), (9, 3), (12, 6), (24, 12)], 12)
    [('begin',), ('continue', 'begin'), ('end', 'end'), (), ()]
    >>> beams([(0, 9), (9, 3)], 12)
    [('begin',), ('end', 'backward hook')]
    """
    found: list[tuple[str, ...]] = []
    while len(found) < len(notes):
        first = len(found)
        last = first + 1
        while last < len(notes) and _is_joined(notes[last - 1], notes[last], group):
            last += 1
        levels = [_level(length) for _, length in notes[first:last]]
        found += [_states(levels, place) if len(levels) > 1 else () for place in range(len(levels))]
    return found


def _is_joined(before: tuple[int, int], note: tuple[int, int], group: int) -> bool:
    """Tell whether two notes in a row stand under one beam: both short, nothing between, of one group."""
    follows = before[0] + before[1] == note[0] and before[0] // group == note[0] // group
    return follows and _level(before[1]) > 0 and _level(note[1]) > 0


def _level(length: int) -> int:
    """Return how many beams, or flags, a note of this length has."""
    return _LEVELS.get(VALUES[length][0], 0)


def _states(levels: Sequence[int], place: int) -> tuple[str, ...]:
    states = []
    for level in range(1, levels[place] + 1):
        before = place > 0 and levels[place - 1] >= level
        after = place + 1 < len(levels) and levels[place + 1] >= level
        lonely = "backward hook" if place > 0 else "forward hook"
        states.append(
            {(False, True): "begin", (True, True): "continue", (True, False): "end"}.get((before, after), lonely)
        )
    return tuple(states)
