"""What a person hears a network learn by: every snapshot in one row, what it composed, and what was measured of it.

Conventions
-----------
The page's script shows one *stop* at a time; what it shows are finished texts. Notes are written as columns of whole
numbers: `t` ticks since the note before, `d` ticks of duration, `p` pitch, `v` velocity, one number where all are
equal. A beat has `TICKS` ticks. Without a script the page shows the pick's samples and those of two others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.website import pianoroll
from farm.website.evidence import Evidence, Sample, Take, records, section
from farm.website.listening import asked, how_it_ends
from farm.website.measures import judged
from farm.website.text import MISSING, decimals, number, plural, script_data, share, visible, whole
from farm.website.wording import human

TICKS = 480
MOST_SAMPLES = 4  # of each snapshot
MOST_NOTES = 40_000  # of all snapshots together: half a megabyte

# What is told of each stop: the verdict's name of it, that of people's level, ours, and how it is written.
_ROWS = (
    ("rep_same", "rep_same", "Repeats the pitch", share),
    ("longest_run", "longest_run", "Longest run of one pitch", decimals),
    ("distinct4", "distinct4", "Different 4-grams", share),
    ("loop_share", "loop_share", "Notes in loops", share),
    ("ngram_bits", "ngram_bits", "Bits per note, by an n-gram of the style", decimals),
    ("cov12", "cov12", "Copied, 12 notes on", share),
    ("lcs_max", "lcs", "Longest copy, notes", lambda value: decimals(value, 0)),
)
_TONES = {"good": "good", "copies": "bad", "loops": "warn", "too random": "warn"}


@dataclass(frozen=True)
class Row:
    """One measure: of the pick, and of people."""

    name: str
    pick: str
    people: str


@dataclass(frozen=True)
class Slider:
    """All stops. `at` is where it stands at first, `jumps` name stops worth hearing, `left_out` tells of others."""

    n_stops: int
    n_samples: int
    at: int
    epoch: int
    is_picked: bool
    word: str
    said: str
    jumps: tuple[tuple[str, int, int], ...]
    strip: Markup
    rows: tuple[Row, ...]
    can_overrule: bool
    left_out: str
    data: Markup


def slider(style: Evidence) -> Slider | None:
    """Return the slider of one style; None for fewer than two snapshots with samples."""
    takes = [take for take in style.snapshots if take.samples]
    if len(takes) < 2:
        return None
    epochs, pick, nearest = [take.epoch for take in takes], style.pick, whole(style.verdict.get("nearest"))
    wanted = next((epoch for epoch in (pick, nearest) if epoch is not None), epochs[-1])
    at = min(range(len(takes)), key=lambda index: (abs(epochs[index] - wanted), index))
    found = {whole(row.get("epoch")): row for row in records(style.verdict.get("candidates"))}
    rows = [found.get(epoch, {}) for epoch in epochs]
    titles, people, values = _told(style, epochs, rows)
    n_samples, most_notes = _room(takes)
    words = [_word(epoch, index, at, pick, style.verdict) for index, epoch in enumerate(epochs)]
    stops = [
        _stop(take, row, word, told, n_samples, most_notes)
        for take, row, word, told in zip(takes, rows, words, values, strict=True)
    ]
    return Slider(
        n_stops=len(takes),
        n_samples=n_samples,
        at=at,
        epoch=epochs[at],
        is_picked=pick is not None,
        word=words[at],
        said=stops[at]["said"],
        jumps=_jumps(epochs, at, pick, nearest),
        strip=_strip([stop["tone"] for stop in stops], at, pick is not None, words),
        rows=tuple(Row(*told) for told in zip(titles, values[at], people, strict=True)),
        can_overrule=bool(style.model),
        left_out=_left_out(len(takes), len(style.sampled_epochs), takes, n_samples, most_notes),
        data=script_data({"ticks": TICKS, "stops": stops}),
    )


def _told(
    style: Evidence, epochs: Sequence[int], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[str], list[list[str]]]:
    """Return the measures that any stop has: their names, people's level of each, and for every stop their values."""
    known = [one for one in _ROWS if any(number(row.get(one[0])) is not None for row in rows)]
    bits = dict(zip(style.history.epochs, style.history.heldout_bits, strict=True))
    level = section(style.verdict.get("human"))
    ngram = decimals(section(style.model.get("quality")).get("ngram_bits_per_note"))
    people = [f"n-gram {ngram}" if ngram != MISSING else MISSING]
    people += [tell(human(level.get(theirs))) for _, theirs, _, tell in known]
    values = [
        [decimals(bits.get(epoch)), *(tell(row.get(name)) for name, _, _, tell in known)]
        for epoch, row in zip(epochs, rows, strict=True)
    ]
    return ["Bits per note, held out", *(title for _, _, title, _ in known)], people, values


def _room(takes: Sequence[Take]) -> tuple[int, int]:
    """Return how many samples of each snapshot, and how many notes of each sample, there is room for."""
    for n_samples in range(MOST_SAMPLES, 0, -1):
        if sum(len(sample.notes) for take in takes for sample in take.samples[:n_samples]) <= MOST_NOTES:
            return min(n_samples, max(len(take.samples) for take in takes)), MOST_NOTES
    return 1, MOST_NOTES // len(takes)


def _left_out(shown: int, sampled: int, takes: Sequence[Take], n_samples: int, most_notes: int) -> str:
    parts = [f"{shown} of {sampled} snapshots"] if shown < sampled else []
    had = max(len(take.samples) for take in takes)
    parts += [f"{plural(n_samples, 'sample')} of {had}"] if n_samples < had else []
    longest = max(len(sample.notes) for take in takes for sample in take.samples[:n_samples])
    parts += [f"the first {plural(most_notes, 'note')} of each"] if longest > most_notes else []
    return f"So that the page stays small, it holds {', '.join(parts)}." if parts else ""


def _word(epoch: int, index: int, at: int, pick: int | None, verdict: Mapping[str, Any]) -> str:
    """Return what a stop is beside the pick."""
    if pick is None:
        return "nearest to being fit" if epoch == whole(verdict.get("nearest")) else "not picked"
    if index == at:
        return "the pick" if epoch == pick else "nearest to the pick"
    beside = verdict.get("neighbours")
    near = (isinstance(beside, list) and epoch in beside) or abs(index - at) == 1
    return ("just " if near else "") + ("before" if index < at else "after") + " the pick"


def _jumps(epochs: Sequence[int], at: int, pick: int | None, nearest: int | None) -> tuple[tuple[str, int, int], ...]:
    """Return the stops worth a button of their own: name, index and epoch, ascending."""
    last = len(epochs) - 1
    named = {0: "Earliest", last: "Last"}
    if pick is not None:
        named = {at - 1: "Just before", at + 1: "Just after"} | named | {at: "The pick"}
    elif nearest is not None:
        named[at] = "Nearest to fit"
    return tuple((named[index], index, epochs[index]) for index in sorted(named) if 0 <= index <= last)


def _stop(
    take: Take, row: Mapping[str, Any], word: str, values: Sequence[str], n_samples: int, most_notes: int
) -> dict[str, Any]:
    told = judged(dict(row))
    facts = [word, *([told] if told != MISSING else [])]
    return {
        "epoch": take.epoch,
        "said": ", ".join(facts),
        "tone": next((tone for fault, tone in _TONES.items() if fault in told), "warn" if told != MISSING else ""),
        "asked": visible(asked(take)),
        "values": values,
        "bpm": take.tempo_bpm,
        "bar": pianoroll.bar_beats(take.metre),
        "samples": [_sample(sample, most_notes, take.metre) for sample in take.samples[:n_samples]],
    }


def _sample(sample: Sample, most_notes: int, metre: str) -> dict[str, Any]:
    notes = sample.notes[:most_notes]
    onsets = [round(note[0] * TICKS) for note in notes]
    loud = [note[3] for note in notes]
    n_bars = math.ceil(pianoroll.end_beat(sample.notes) / pianoroll.bar_beats(metre))
    return {
        "said": f"{plural(len(sample.notes), 'note')}, {plural(n_bars, 'bar')}, {how_it_ends(sample)}",
        "t": [now - before for before, now in zip([0, *onsets], onsets, strict=False)],
        "d": [round(note[1] * TICKS) for note in notes],
        "p": [note[2] for note in notes],
        "v": loud[0] if len(set(loud)) == 1 else loud,
    }


def _strip(tones: Sequence[str], at: int, is_picked: bool, words: Sequence[str]) -> Markup:
    """Return the row of marks above the slider: how each stop was judged, and which is the pick; nothing is written."""
    marks = Markup("").join(
        Markup('<path class="stop {}{}" d="M{} {}V10"/>').format(
            tone or "unjudged", " pick" if index == at and is_picked else "", index,
            0 if index == at and is_picked else 3 if word.startswith("just") else 6,
        )
        for index, (tone, word) in enumerate(zip(tones, words, strict=True))
    )  # fmt: skip
    return Markup(
        '<svg class="stops" viewBox="0 0 {} 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(len(tones) - 1, marks)
