"""A sample as a picture: pitch over time, as SVG that stands inside a page.

Conventions
-----------
Time runs to the right in beats (quarter notes), pitch upwards in semitones. The picture is `scale` units wide per
beat, and its `data-scale` attribute says so: the player moves the cursor by it. Louder notes are darker, in four
bands; colours come from the page's style sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from farm.website.text import pitch_name, plural, visible

Note = tuple[float, float, int, int]

SEMITONE = 4
MAX_NOTES = 3000
_WIDTH, _NARROWEST, _WIDEST = 880, 7, 90
_FOOT = 14
_NAME_HEIGHT = 10
_GUTTER = 24  # left of the first beat, for the names of the octaves


@dataclass(frozen=True)
class Frame:
    """What a roll shows, where that is not what its notes say: two rolls of one frame can be compared by eye.

    `ahead_beats` is how far it is to the first bar line, where the bar of number `first_bar` begins. The notes whose
    indices are `marked` stand out.
    """

    beats: float
    low: int
    high: int
    bar_beats: float
    ahead_beats: float
    first_bar: int
    marked: frozenset[int]


def bar_beats(metre: str) -> float:
    """Return the length of a bar in beats; four for a metre that cannot be read.

    Examples
    --------
    >>> bar_beats("6/8"), bar_beats("other")
    (3.0, 4.0)
    """
    over, _, under = metre.partition("/")
    if not (over.isdigit() and under.isdigit() and int(over) and int(under)):
        return 4.0
    return int(over) * 4 / int(under)


def end_beat(notes: Sequence[Note]) -> float:
    """Return when the last note ends; 0 for no notes."""
    return max((onset + duration for onset, duration, _, _ in notes), default=0.0)


def draw(notes: Sequence[Note], metre: str, label: str, frame: Frame | None = None) -> Markup:
    """Return the roll as an SVG element; no notes give an empty stave of one bar.

    Parameters
    ----------
    notes
        Rows of onset and duration in beats, pitch, velocity.
    metre
        Such as '3/4', for the bar lines.
    label
        What a screen reader says first; the number of notes and the range are added.
    frame
        What to show, else it follows from notes and metre.

    Notes past `MAX_NOTES` are not drawn.
    """
    notes = notes[:MAX_NOTES]
    frame = frame or _frame_of(notes, metre)
    scale = round(min(max(_WIDTH / frame.beats, _NARROWEST), _WIDEST), 2)
    width, foot = round(frame.beats * scale) + 1, (frame.high - frame.low + 1) * SEMITONE
    spoken = f"{label}: {plural(len(notes), 'note')}"
    if notes:
        spoken += f", {pitch_name(min(note[2] for note in notes))} to {pitch_name(max(note[2] for note in notes))}"
    return Markup(
        '<svg class="roll" role="img" aria-label="{}" width="{}" height="{}" viewBox="{} 0 {} {}" data-scale="{}">'
        "{}{}{}"
        '<line class="cursor" x1="0" x2="0" y1="0" y2="{}" visibility="hidden"/></svg>'
    ).format(
        visible(spoken), width + _GUTTER, foot + _FOOT, -_GUTTER, width + _GUTTER, foot + _FOOT, scale,
        _octaves(frame.low, frame.high, width), _bars(frame, scale, foot), _note_paths(notes, frame, scale), foot,
    )  # fmt: skip


def _frame_of(notes: Sequence[Note], metre: str) -> Frame:
    bar = bar_beats(metre)
    low = min((note[2] for note in notes), default=60) - 2
    high = max((note[2] for note in notes), default=60) + 2
    low, high = (low, high) if high - low >= 16 else ((low + high) // 2 - 8, (low + high) // 2 + 8)
    return Frame(max(end_beat(notes), bar), low, high, bar, 0.0, 1, frozenset())


def _octaves(low: int, high: int, width: int) -> Markup:
    """Return a line below every C, named."""
    lines = Markup("")
    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            y = (high - pitch + 1) * SEMITONE
            lines += Markup('<path class="octave" d="M0 {}H{}"/>').format(y, width)
            if y > _NAME_HEIGHT:
                lines += Markup('<text class="key" x="{}" y="{}">{}</text>').format(
                    3 - _GUTTER, y - 2, pitch_name(pitch)
                )
    return lines


def _bars(frame: Frame, scale: float, foot: int) -> Markup:
    """Return the bar lines in one path, and as many bar numbers as fit."""
    bar, ahead, beats = frame.bar_beats, frame.ahead_beats, frame.beats
    places = [ahead + index * bar for index in range(max(int((beats - ahead) / bar + 1e-9) + 1, 0))]
    lines = "".join(f"M{_short(place * scale)} 0V{foot}" for place in places)
    every = next((step for step in (1, 2, 4, 8, 16, 32) if step * bar * scale >= 36), 64)
    names = Markup("").join(
        Markup('<text class="bar" x="{}" y="{}">{}</text>').format(
            _short(place * scale + 2), foot + _FOOT - 3, index + frame.first_bar
        )
        for index, place in enumerate(places)
        if index % every == 0 and (place + 0.5) * scale < beats * scale
    )
    return Markup('<path class="bars" d="{}"/>').format(lines) + names


def _note_paths(notes: Sequence[Note], frame: Frame, scale: float) -> Markup:
    """Return the notes, one path for each of four bands of velocity: far smaller than an element per note."""
    bands: dict[str, list[str]] = {"v0": [], "v1": [], "v2": [], "v3": [], "beside": [], "copied": []}
    for index, (onset, duration, pitch, velocity) in enumerate(notes):
        # A hair of space after each note keeps repeated notes apart.
        width = max(duration * scale - 0.8, 1.5)
        y = (frame.high - pitch) * SEMITONE
        band = f"v{min(max(velocity, 0) // 32, 3)}"
        if frame.marked:
            band = "copied" if index in frame.marked else "beside"
        bands[band].append(f"M{_short(onset * scale)} {y}h{_short(width)}v{SEMITONE}h{_short(-width)}z")
    return Markup("").join(
        Markup('<path class="notes {}" d="{}"/>').format(band, "".join(parts)) for band, parts in bands.items() if parts
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
