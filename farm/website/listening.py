"""What a person hears: the samples of the picked snapshot, and of one that learned less and one that learned more.

Conventions
-----------
As in `index_page`. The pick comes first, the others in order of epoch. Beats are quarter notes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.music.encoding import FREE
from farm.website import pianoroll
from farm.website.engraving import engrave
from farm.website.evidence import Sample, Take
from farm.website.text import file_link, plural, script_data

_BESIDE = 1  # samples shown of the snapshots beside the pick
_NO_BARS = "This music is told by the clock and has no bars, so it is not engraved as a score."


@dataclass(frozen=True)
class SampleView:
    """One sample: `id` is its place in the page's sound data, `sound` what stands there; `score` is its beginning."""

    id: int
    name: str
    spoken: str
    said: str
    midi: str | None
    roll: Markup
    sound: dict[str, Any]
    score: Markup | None = None


@dataclass(frozen=True)
class TakeView:
    """The samples of one snapshot; `note` says why there is no score where one could be looked for."""

    epoch: int
    label: str
    asked: str
    note: str
    picked: bool
    samples: tuple[SampleView, ...]


def listening(takes: Sequence[Take], pick: int | None, midi: dict[int, str], up: int) -> tuple[TakeView, ...]:
    """Return the snapshots to listen to; of those beside the pick two samples each. No takes give none.

    Parameters
    ----------
    pick
        The picked epoch; the take nearest to it stands for it when it has none of its own.
    midi
        Keys of the MIDI files of the pick's samples, by the sample's number from 1.
    up
        Folders from the page to the artifacts.
    """
    near = [take.epoch for take in takes]
    chosen = min(near, key=lambda epoch: (abs(epoch - pick), epoch)) if near and pick is not None else None
    views: list[TakeView] = []
    for take in sorted(takes, key=lambda take: (take.epoch != chosen, take.epoch)):
        picked = take.epoch == chosen
        shown = take.samples if picked else take.samples[:_BESIDE]
        first = sum(len(view.samples) for view in views)
        links = midi if take.epoch == pick else {}
        samples = tuple(
            _sample(take, index, first, file_link(links.get(index + 1), up), picked) for index in range(len(shown))
        )
        note = _NO_BARS if picked and take.metre == FREE else ""
        views.append(TakeView(take.epoch, _label(take.epoch, chosen, pick), asked(take), note, picked, samples))
    return tuple(views)


def sounds(views: Sequence[TakeView], others: Sequence[SampleView] = ()) -> Markup:
    """Return the notes of every shown sample, and of others after them, as script data, in the order of their ids."""
    shown = [sample for view in views for sample in view.samples]
    return script_data([sample.sound for sample in (*shown, *others)])


def lead(views: Sequence[TakeView], pick: int | None, fit: bool) -> str:
    """Return the sentence that says what there is to hear."""
    if not views:
        return ""
    if pick is None:
        return "Nothing was picked. These are samples from along the way, so that you can hear why."
    if not fit:
        return "This is what the picked epoch composed. It is not fit to ship; the sentence above says why."
    if len(views) == 1:
        return "This is what the picked epoch composed, by itself, from nothing."
    return (
        "Each snapshot composed these by itself, from nothing. Hear the pick against snapshots that learned for a "
        "shorter and a longer time: the early one should wander or loop, the late one should be no better."
    )


def asked(take: Take) -> str:
    """Return how a snapshot was asked to compose, as far as it is known."""
    parts = [f"{take.tempo_bpm:g} beats a minute"]
    parts += [take.metre] if take.metre else []
    parts += [f"temperature {take.temperature:g}"] if take.temperature is not None else []
    parts += [f"top-p {take.top_p:g}"] if take.top_p is not None else []
    parts += [f"seed {take.seed}"] if take.seed is not None else []
    return ", ".join(parts)


def how_it_ends(sample: Sample) -> str:
    return "ends by itself" if sample.stopped else "cut off at the length asked for"


def _sample(take: Take, index: int, first: int, link: str | None, is_engraved: bool) -> SampleView:
    sample, name = take.samples[index], f"Sample {index + 1}"
    n_bars = math.ceil(pianoroll.end_beat(sample.notes) / pianoroll.bar_beats(take.metre))
    shown = sample.notes[: pianoroll.MAX_NOTES]
    notes = [[round(onset, 4), round(length, 4), pitch, velocity] for onset, length, pitch, velocity in shown]
    sound: dict[str, Any] = {"bpm": take.tempo_bpm, "notes": notes}
    score = (
        engrave(shown, take.metre, f"score-{first + index}", f"Score of sample {index + 1}") if is_engraved else None
    )
    if score is not None:
        sound |= {"places": score.places, "systems": score.systems}
    return SampleView(
        id=first + index,
        name=name,
        spoken=f"sample {index + 1} of epoch {take.epoch}",
        said=f"{plural(len(sample.notes), 'note')}, {plural(n_bars, 'bar')}, {how_it_ends(sample)}",
        midi=link,
        roll=pianoroll.draw(shown, take.metre, name),
        sound=sound,
        score=score.svg if score else None,
    )


def _label(epoch: int, chosen: int | None, pick: int | None) -> str:
    if chosen is None or pick is None:
        return "Not picked"
    if epoch == chosen:
        return "The pick" if epoch == pick else "Nearest to the pick"
    if epoch > chosen:
        return "Later"
    return "Too early" if 2 * epoch <= chosen else "Earlier"
