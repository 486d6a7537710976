"""What was copied from where, as a style's page shows it: the longest passage beside its source, and people's level.

Conventions
-----------
As in `index_page`: finished texts. Both rolls have one frame: the passage begins at the same place, its notes stand at
the same heights, and a beat is as wide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from farm.website import pianoroll
from farm.website.copied import Copy, Excerpt
from farm.website.evidence import Evidence, records, section
from farm.website.listening import SampleView
from farm.website.measures import Grid, longest_copy
from farm.website.text import decimals, number, plural, share, whole

_LEVELS = (
    ("lcs_max", "lcs", "Longest passage that also stands in the corpus, notes"),
    ("cov8", "cov8", "Notes in copied passages of 8 notes on"),
    ("cov12", "cov12", "Notes in copied passages of 12 notes on"),
    ("cov16", "cov16", "Notes in copied passages of 16 notes on"),
    ("near12", "near12", "The same of 12 notes on, one altered"),
)
_NOTHING = "Nothing was copied: no passage of the samples stands in the corpus."
_NOT_SHOWN = "Its notes are not at hand, so it cannot be shown here."


@dataclass(frozen=True)
class CopySection:
    """The sentence about the longest copy, how it compares with people, and both sides to be heard where known."""

    sentence: str
    compared: str
    levels: Grid | None
    sides: tuple[SampleView, ...]
    gone: str


def copy_section(style: Evidence, copy: Copy | None, first_id: int) -> CopySection | None:
    """Return the section of one style; None where copies were not looked for.

    Parameters
    ----------
    first_id
        The place of the first side in the page's sound data.
    """
    quality = section(style.model.get("quality"))
    told = section(quality.get("longest_copy"))
    row = next((row for row in records(style.verdict.get("candidates")) if whole(row.get("epoch")) == style.pick), {})
    human = section(style.verdict.get("human"))
    levels = _levels(row, human)
    if number(quality.get("copied")) is None and not told and levels is None:
        return None
    notes = whole(told.get("notes")) or 0
    return CopySection(
        sentence=longest_copy(told, style.copied_from) or _NOTHING,
        compared=_compared(told, human.get("lcs")),
        levels=levels,
        sides=_sides(copy, style.copied_from, first_id) if copy else (),
        gone=_NOT_SHOWN if notes and copy is None else "",
    )


def _levels(row: Mapping[str, Any], human: Mapping[str, Any]) -> Grid | None:
    """Return the model's measures of copying beside people's mean and the level that 95 of 100 people stay below."""
    rows = []
    for ours, theirs, title in _LEVELS:
        value, level = number(row.get(ours)), human.get(theirs)
        if value is None:
            continue
        mean, most = level if isinstance(level, list) and len(level) == 2 else (None, None)
        tell = (lambda found: decimals(found, 1)) if theirs == "lcs" else share
        rows.append((title, decimals(value, 0) if theirs == "lcs" else share(value), tell(mean), tell(most)))
    return Grid(("Measure", "This model", "People, mean", "People, 95 of 100 below"), tuple(rows)) if rows else None


def _compared(told: Mapping[str, Any], level: Any) -> str:
    """Return how the longest copy compares with what pieces of people share with others of the style.

    A quote, which may have a note altered, was weighed against people's quotes of its kind; an exact copy is held
    against the longest ones of people.
    """
    notes, excess = whole(told.get("notes")) or 0, number(told.get("excess"))
    if notes and excess is not None:
        return (
            "Such quotes are held against the level that 95 of 100 pieces of people stay below; "
            f"this one reaches {excess:.2f} times that."
        )
    mean, most = (number(part) for part in level) if isinstance(level, list) and len(level) == 2 else (None, None)
    if not notes or mean is None or most is None:
        return ""
    usual = f"A piece of people’s shares {mean:.0f} notes on end with another one of the style, on average"
    if notes <= mean:
        return f"{usual}: this is no more than that."
    if notes <= most:
        return f"{usual}, and one in twenty more than {most:.0f}: this is what people do, too."
    return f"{usual}, and one in twenty more than {most:.0f}: this is more than people do."


def _sides(copy: Copy, path: str, first_id: int) -> tuple[SampleView, ...]:
    ours, theirs = _aligned(copy)
    above = copy.semitones
    moved = f", {plural(abs(above), 'semitone')} {'higher' if above < 0 else 'lower'}" if above else ""
    return (
        _side(ours, "The sample", "the copied passage in the sample", first_id),
        _side(theirs, path or "The source", "the passage in its source", first_id + 1, moved),
    )


def _aligned(copy: Copy) -> tuple[tuple[Excerpt, pianoroll.Frame], tuple[Excerpt, pianoroll.Frame]]:
    lead = max(copy.sample.starts_beat, copy.source.starts_beat)
    ours, theirs = (_moved(side, lead - side.starts_beat) for side in (copy.sample, copy.source))
    pitches = [note[2] for note in ours.notes] + [note[2] + copy.semitones for note in theirs.notes]
    low, high = min(pitches) - 2, max(pitches) + 2
    beats = max(pianoroll.end_beat(side.notes) for side in (ours, theirs))

    def frame(side: Excerpt, down: int) -> pianoroll.Frame:
        bars = (side.bar_beats, side.ahead_beats, side.first_bar)
        return pianoroll.Frame(beats, low - down, high - down, *bars, side.marked)

    return (ours, frame(ours, 0)), (theirs, frame(theirs, copy.semitones))


def _moved(side: Excerpt, later: float) -> Excerpt:
    notes = tuple((onset + later, length, pitch, loud) for onset, length, pitch, loud in side.notes)
    return replace(side, notes=notes, ahead_beats=side.ahead_beats + later, starts_beat=side.starts_beat + later)


def _side(drawn: tuple[Excerpt, pianoroll.Frame], name: str, spoken: str, number_: int, moved: str = "") -> SampleView:
    side, frame = drawn
    # what stands before the excerpt only aligns the pictures, and is not waited for
    notes = [[round(onset, 4), round(length, 4), pitch, loud] for onset, length, pitch, loud in side.notes]
    return SampleView(
        id=number_,
        name=name,
        spoken=spoken,
        said=f"from bar {side.bar}, {side.bpm:.0f} beats a minute{moved}",
        midi=None,
        roll=pianoroll.draw(side.notes, "", name, frame),
        sound={"bpm": side.bpm, "notes": notes},
    )
