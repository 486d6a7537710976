"""A sample as a picture: pitch over time, as SVG that stands inside a page.

Conventions
-----------
Time runs to the right in beats (quarter notes), pitch upwards in semitones. The picture is `scale` units wide per
beat, and its `data-scale` attribute says so: the player moves the cursor by it. Louder notes are darker, in four
bands; colours come from the page's style sheet.
"""

from collections.abc import Sequence

from markupsafe import Markup

from farm.website.text import pitch_name, plural

Note = tuple[float, float, int, int]

SEMITONE = 4
MAX_NOTES = 4000
_WIDTH, _NARROWEST, _WIDEST = 880, 7, 26
_FOOT = 14
_GUTTER = 24  # left of the first beat, for the names of the octaves


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


def draw(notes: Sequence[Note], metre: str, label: str) -> Markup:
    """Return the roll as an SVG element; no notes give an empty stave of one bar.

    Parameters
    ----------
    notes
        Rows of onset and duration in beats, pitch, velocity.
    metre
        Such as '3/4', for the bar lines.
    label
        What a screen reader says first; the number of notes and the range are added.

    Notes past `MAX_NOTES` are not drawn.
    """
    notes = notes[:MAX_NOTES]
    bar = bar_beats(metre)
    beats = max(end_beat(notes), bar)
    low = min((note[2] for note in notes), default=60) - 2
    high = max((note[2] for note in notes), default=60) + 2
    low, high = (low, high) if high - low >= 16 else ((low + high) // 2 - 8, (low + high) // 2 + 8)
    scale = round(min(max(_WIDTH / beats, _NARROWEST), _WIDEST), 2)
    width, foot = round(beats * scale) + 1, (high - low + 1) * SEMITONE
    spoken = f"{label}: {plural(len(notes), 'note')}"
    if notes:
        spoken += f", {pitch_name(min(note[2] for note in notes))} to {pitch_name(max(note[2] for note in notes))}"
    return Markup(
        '<svg class="roll" role="img" aria-label="{}" width="{}" height="{}" viewBox="{} 0 {} {}" data-scale="{}">'
        "{}{}{}"
        '<line class="cursor" x1="0" x2="0" y1="0" y2="{}" visibility="hidden"/></svg>'
    ).format(
        spoken, width + _GUTTER, foot + _FOOT, -_GUTTER, width + _GUTTER, foot + _FOOT, scale,
        _octaves(low, high, width), _bars(beats, bar, scale, foot), _note_paths(notes, high, scale), foot,
    )  # fmt: skip


def _octaves(low: int, high: int, width: int) -> Markup:
    """Return a line below every C, named."""
    lines = Markup("")
    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            y = (high - pitch + 1) * SEMITONE
            lines += Markup('<path class="octave" d="M0 {}H{}"/><text class="key" x="{}" y="{}">{}</text>').format(
                y, width, 3 - _GUTTER, y - 2, pitch_name(pitch)
            )
    return lines


def _bars(beats: float, bar: float, scale: float, foot: int) -> Markup:
    """Return the bar lines in one path, and as many bar numbers as fit."""
    n_bars = int(beats / bar + 1e-9) + 1
    lines = "".join(f"M{_short(index * bar * scale)} 0V{foot}" for index in range(n_bars))
    every = next((step for step in (1, 2, 4, 8, 16, 32) if step * bar * scale >= 36), 64)
    names = Markup("").join(
        Markup('<text class="bar" x="{}" y="{}">{}</text>').format(
            _short(index * bar * scale + 2), foot + _FOOT - 3, index + 1
        )
        for index in range(0, n_bars, every)
        if (index * bar + 0.5) * scale < beats * scale
    )
    return Markup('<path class="bars" d="{}"/>').format(lines) + names


def _note_paths(notes: Sequence[Note], high: int, scale: float) -> Markup:
    """Return the notes, one path for each of four bands of velocity: far smaller than an element per note."""
    bands: list[list[str]] = [[], [], [], []]
    for onset, duration, pitch, velocity in notes:
        # A hair of space after each note keeps repeated notes apart.
        width = max(duration * scale - 0.8, 1.5)
        y = (high - pitch) * SEMITONE
        bands[min(max(velocity, 0) // 32, 3)].append(
            f"M{_short(onset * scale)} {y}h{_short(width)}v{SEMITONE}h{_short(-width)}z"
        )
    return Markup("").join(
        Markup('<path class="notes v{}" d="{}"/>').format(band, "".join(parts))
        for band, parts in enumerate(bands)
        if parts
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
