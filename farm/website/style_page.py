"""The page of one style: its samples to listen to, its curve, its measures against people, its files and their origin.

Conventions
-----------
As in `pages`: pure functions from `Evidence` to a frozen dataclass of texts. A section whose files are missing is
empty and its template part is left out. Every table is a `Grid`: the first column names the row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.corpus.tables import STATES
from farm.website import figures, pianoroll
from farm.website.evidence import Corpus, Evidence, History, Take, records, section
from farm.website.pages import (
    Mark,
    doing,
    human,
    is_fit,
    message_lines,
    model_file,
    page_name,
    status_mark,
    title_of,
    verdict_mark,
)
from farm.website.text import (
    MISSING,
    count,
    decimals,
    duration,
    file_link,
    number,
    plural,
    script_data,
    share,
    size,
    web_link,
    whole,
)

MOST_LEFT_OUT = 500
_BESIDE = 2  # samples shown of the snapshots beside the pick
_UP = 2  # folders from a style's page to the artifacts

_MEASURES = {
    "epoch": "epoch",
    "rep_same": "repeated pitch",
    "longest_run": "longest run",
    "distinct4": "distinct 4-grams",
    "loop_share": "in loops",
    "cov8": "copied ≥ 8",
    "cov12": "copied ≥ 12",
    "cov16": "copied ≥ 16",
    "lcs_mean": "longest copy, mean",
    "greedy_rep": "greedy: repeated",
    "greedy_run": "greedy: run",
    "greedy_distinct4": "greedy: distinct 4-grams",
    "known2": "known 2-grams",
    "val_loss": "held-out loss",
    "val_bits_per_note": "held-out bits",
}


@dataclass(frozen=True)
class Grid:
    """A table; `marked` are the rows that stand out."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fact:
    """One key number."""

    name: str
    value: str
    under: str


@dataclass(frozen=True)
class SampleView:
    """One sample: `id` is its place in the page's sound data."""

    id: int
    name: str
    spoken: str
    said: str
    midi: str | None
    roll: Markup


@dataclass(frozen=True)
class TakeView:
    """The samples of one snapshot."""

    epoch: int
    label: str
    asked: str
    picked: bool
    samples: tuple[SampleView, ...]


@dataclass(frozen=True)
class FileView:
    """One published file."""

    name: str
    link: str | None
    role: str
    precision: str
    size: str
    sha256: str


@dataclass(frozen=True)
class SourceView:
    """Where music came from; `link` only when it is a plain web address."""

    name: str
    link: str | None
    licence: str


@dataclass(frozen=True)
class StylePage:
    """Everything on a style's page."""

    title: str
    heading: str
    style: str
    root: str
    badges: tuple[Mark, ...]
    failure_stage: str
    failure_lines: tuple[str, ...]
    problems: tuple[str, ...]
    reason: str
    facts: tuple[Fact, ...]
    listen: str
    takes: tuple[TakeView, ...]
    sounds: Markup
    figure: Markup
    caption: str
    epochs: Grid
    candidates: Grid | None
    quality: Grid | None
    longest_copy: str
    corpus: tuple[tuple[str, str], ...]
    sources: tuple[SourceView, ...]
    left_out: Grid | None
    left_out_count: str
    files: tuple[FileView, ...]
    decisions: Grid | None
    lineage: tuple[tuple[str, str], ...]
    neighbours: tuple[tuple[str, str], ...]
    made_from: str


def style_page(style: Evidence, midi: dict[int, str], neighbours: Sequence[Evidence]) -> StylePage:
    """Return the page of one style.

    Parameters
    ----------
    midi
        Keys of the MIDI files of the pick's samples, by the sample's number from 1.
    neighbours
        The styles before and after in the catalog, for the links at the foot.
    """
    model, verdict = style.model, section(style.model.get("verdict"))
    quality = section(model.get("quality"))
    pick = whole(verdict.get("epoch"))
    marks = _marks(style, verdict, quality, pick)
    takes = _takes(style, pick, midi)
    version, run = whole(model.get("version")), model.get("run")
    return StylePage(
        title=title_of(style),
        heading=title_of(style),
        style=style.style,
        root="../",
        badges=(verdict_mark(verdict), status_mark(model)) if model else (Mark("not finished", "bad", 0),),
        failure_stage=doing(style.failure),
        failure_lines=message_lines(style.failure) if style.failure else (),
        problems=style.problems,
        reason=_sentence(verdict.get("reason")),
        facts=_facts(style, verdict, quality) if model else (),
        listen=_listen(takes, pick, is_fit(verdict)),
        takes=takes,
        sounds=_sounds(style.takes, takes),
        figure=figures.curves(style.history, marks),
        caption=_caption(marks),
        epochs=_epochs(style.history, style.sampled_epochs, pick),
        candidates=_candidates(records(verdict.get("candidates")), pick),
        quality=_quality(quality),
        longest_copy=_longest_copy(section(quality.get("longest_copy")), style.copied_from),
        corpus=_corpus(style.corpus, section(model.get("corpus"))),
        sources=tuple(_source(source) for source in records(section(model.get("corpus")).get("sources"))),
        left_out=_left_out(style.corpus),
        left_out_count=plural(len(style.corpus.left_out), "file") if style.corpus else "",
        files=tuple(_file(file) for file in records(model.get("files"))),
        decisions=_decisions(records(model.get("decisions"))),
        lineage=_lineage(style),
        neighbours=tuple((title_of(other), page_name(other.style)) for other in neighbours),
        made_from=f"Version {version} of this model, from run {run}." if version is not None else "No model is published yet.",
    )


def _marks(style: Evidence, verdict: dict[str, Any], quality: dict[str, Any], pick: int | None) -> figures.Marks:
    plateau = section(verdict.get("plateau"))
    blow_up = verdict.get("blow_up")
    return figures.Marks(
        pick=pick,
        first=whole(plateau.get("first")),
        flat=whole(plateau.get("flat")),
        blow_up=whole(blow_up["epoch"] if isinstance(blow_up, dict) and "epoch" in blow_up else blow_up),
        repetition_ends=whole(verdict.get("repetition_ends")),
        copying_begins=whole(verdict.get("copying_begins")),
        ngram_bits=number(quality.get("ngram_bits_per_note")),
        sampled=style.sampled_epochs,
    )


def _sentence(reason: Any) -> str:
    return " ".join(str(part) for part in reason) if isinstance(reason, list) else str(reason or "")


def _facts(style: Evidence, verdict: dict[str, Any], quality: dict[str, Any]) -> tuple[Fact, ...]:
    epoch, last = whole(verdict.get("epoch")), style.history.epochs[-1:]
    bits, ngram = quality.get("val_bits_per_note"), quality.get("ngram_bits_per_note")
    file, network = model_file(style.model), section(style.model.get("network"))
    confidence, cost = number(verdict.get("confidence")), section(style.model.get("cost"))
    return (
        Fact("Picked epoch", MISSING if epoch is None else str(epoch), f"of {last[0]}" if last else ""),
        Fact("Confidence", MISSING if confidence is None else share(confidence), "that this is the epoch"),
        Fact("Bits per note", decimals(bits), f"n-gram {decimals(ngram)}"),
        Fact("Model file", size(file.get("bytes")), f"{count(network.get('weights'))} weights"),
        Fact("Training", duration(cost.get("seconds")), str(cost.get("device") or "")),
    )


def _takes(style: Evidence, pick: int | None, midi: dict[int, str]) -> tuple[TakeView, ...]:
    """Return the snapshots to listen to, in order of epoch; of those beside the pick two samples each."""
    sound = 0
    views = []
    heard = [take.epoch for take in style.takes]
    chosen = min(heard, key=lambda epoch: (abs(epoch - pick), epoch)) if heard and pick is not None else None
    for take in style.takes:
        picked = take.epoch == chosen
        samples = []
        for index, sample in enumerate(take.samples[: None if picked or chosen is None else _BESIDE], start=1):
            bars = math.ceil(pianoroll.end_beat(sample.notes) / pianoroll.bar_beats(take.metre))
            ends = "ends by itself" if sample.stopped else "cut off at the length asked for"
            spoken = f"sample {index} of epoch {take.epoch}"
            link = file_link(midi.get(index), _UP) if take.epoch == pick else None
            roll = pianoroll.draw(sample.notes, take.metre, f"Sample {index}")
            said = f"{plural(len(sample.notes), 'note')}, {plural(bars, 'bar')}, {ends}"
            samples.append(SampleView(sound, f"Sample {index}", spoken, said, link, roll))
            sound += 1
        views.append(TakeView(take.epoch, _take_label(take.epoch, chosen, pick), _asked(take), picked, tuple(samples)))
    return tuple(views)


def _take_label(epoch: int, chosen: int | None, pick: int | None) -> str:
    if chosen is None or pick is None:
        return "Not picked"
    if epoch == chosen:
        return "The pick" if epoch == pick else "Nearest to the pick"
    if epoch > chosen:
        return "Later"
    return "Too early" if 2 * epoch <= chosen else "Earlier"


def _asked(take: Take) -> str:
    parts = [f"{take.tempo_bpm:g} beats a minute"]
    parts += [take.metre] if take.metre else []
    parts += [f"temperature {take.temperature:g}"] if take.temperature is not None else []
    parts += [f"top-p {take.top_p:g}"] if take.top_p is not None else []
    parts += [f"seed {take.seed}"] if take.seed is not None else []
    return ", ".join(parts)


def _sounds(takes: Sequence[Take], views: Sequence[TakeView]) -> Markup:
    """Return the notes of every shown sample, in the order of their ids, for the player."""
    return script_data(
        [
            {"bpm": take.tempo_bpm, "notes": [[round(on, 4), round(length, 4), pitch, loud] for on, length, pitch, loud in sample.notes]}
            for take, view in zip(takes, views, strict=True)
            for sample in take.samples[: len(view.samples)]
        ]
    )  # fmt: skip


def _listen(takes: Sequence[TakeView], pick: int | None, fit: bool) -> str:
    if not takes:
        return ""
    if pick is None:
        return "Nothing was picked. These are samples from along the way, so that you can hear why."
    if not fit:
        return "This is what the picked epoch composed. It is not fit to ship; the sentence above says why."
    if len(takes) == 1:
        return "This is what the picked epoch composed, by itself, from nothing."
    return (
        "Each snapshot composed these by itself, from nothing. Hear the pick against one that learned for a shorter and "
        "one that learned for a longer time: the first should wander or loop, the last should not be better."
    )


def _caption(marks: figures.Marks) -> str:
    parts = ["Bits per note after each epoch, on the training music and on music held out; lower is better."]
    if marks.ngram_bits is not None:
        parts.append("The dashed line is what an n-gram model reaches.")
    if marks.first is not None:
        parts.append("The shaded band is the plateau, where the curve has levelled off.")
    if marks.sampled:
        parts.append("Ticks at the foot are the snapshots that were asked to compose.")
    if marks.repetition_ends is not None or marks.copying_begins is not None:
        parts.append("The strip tells what their samples did: loop, be good, copy.")
    if marks.blow_up is not None:
        parts.append("At the red line training broke and did not recover.")
    return " ".join(parts)


def _epochs(history: History, sampled: Sequence[int], pick: int | None) -> Grid:
    heads = ("Epoch", "Bits, training", "Bits, held out", "Right pitch, training", "Right pitch, held out", "Snapshot")
    columns = zip(
        history.epochs, history.bits, history.heldout_bits, history.accuracy, history.heldout_accuracy, strict=True
    )  # fmt: skip
    rows = tuple(
        (str(epoch), decimals(bits, 3), decimals(held, 3), share(right), share(right_held), "composed" if epoch in sampled else "")
        for epoch, bits, held, right, right_held in columns
    )
    return Grid(heads, rows, tuple(index for index, epoch in enumerate(history.epochs) if epoch == pick))


def _candidates(candidates: list[dict[str, Any]], pick: int | None) -> Grid | None:
    """Return the measures of every snapshot, a column for each that any of them has; sections are laid flat."""
    flat = [
        {name: value for key, part in row.items() for name, value in (part.items() if isinstance(part, dict) else [(key, part)])}
        for row in candidates
    ]
    names = [name for name in dict.fromkeys(name for row in flat for name in row) if any(number(row.get(name)) is not None for row in flat)]
    if "epoch" not in names:
        return None
    names.sort(key=lambda name: name != "epoch")
    rows = tuple(tuple(_measure(row.get(name)) for name in names) for row in flat)
    marked = tuple(index for index, row in enumerate(flat) if whole(row.get("epoch")) == pick)
    return Grid(tuple(_MEASURES.get(name, name.replace("_", " ")) for name in names), rows, marked)


def _measure(value: Any) -> str:
    found = number(value)
    return MISSING if found is None else f"{found:.0f}" if found == round(found) else f"{found:.3g}"


def _quality(quality: dict[str, Any]) -> Grid | None:
    if not quality:
        return None
    bits, ngram = number(quality.get("val_bits_per_note")), number(quality.get("ngram_bits_per_note"))
    better = MISSING
    if bits is not None and ngram:
        better = f"{share((ngram - bits) / ngram)} better" if bits < ngram else "no better than plain statistics"
    rows = [
        ("Bits per note, held out", decimals(bits), f"n-gram {decimals(ngram)}", better),
        _against("Copied", quality.get("copied"), quality.get("copied_human")),
        _against("Repetition", quality.get("repetition"), quality.get("repetition_human")),
        ("Valid samples", share(quality.get("validity")), MISSING, "readable, in range, with an end"),
    ]
    return Grid(("Measure", "This model", "Compare with", "In words"), tuple(rows))


def _against(name: str, value: Any, level: Any) -> tuple[str, str, str, str]:
    """Return a row that sets a share against people's; up to a quarter more, or 2 %, still counts as theirs."""
    ours, theirs = number(value), human(level)
    words = MISSING
    if ours is not None and theirs is not None:
        words = "as people do" if ours <= max(1.25 * theirs, theirs + 0.02) else "more than people do"
    return name, share(ours), f"people {share(theirs)}", words


def _longest_copy(longest: dict[str, Any], path: str) -> str:
    notes = whole(longest.get("notes"))
    if not notes:
        return ""
    where = path or str(longest.get("piece") or "")
    bar = whole(longest.get("bar"))
    place = f" as in {where}" if where else ""
    return f"The longest passage that also stands in the corpus: {plural(notes, 'note')}{place}{'' if bar is None else f', bar {bar}'}."


def _corpus(corpus: Corpus | None, published: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    if corpus is None:
        known = {name: published[name] for name in ("pieces", "notes", "rejected") if name in published}
        pairs = [(name.capitalize(), count(value)) for name, value in known.items()]
        return tuple([*pairs, ("Hours", decimals(published["hours"], 1))] if "hours" in published else pairs)
    pairs = [(f"Pieces {state}", count(corpus.states[state])) for state in STATES]
    pairs += [("Held out for judging", plural(corpus.heldout, "piece")), ("Notes", count(corpus.notes))]
    pairs += [("Music", duration(corpus.seconds))]
    for name, ranked in (("Keys", corpus.keys), ("Metres", corpus.metres)):
        if ranked:
            rest = f" and {len(ranked) - 6} more" if len(ranked) > 6 else ""
            pairs.append((name, ", ".join(f"{value} ({number_of})" for value, number_of in ranked[:6]) + rest))
    return tuple(pairs)


def _source(source: dict[str, Any]) -> SourceView:
    link = web_link(source.get("url"))
    name = str(source.get("attribution") or source.get("source") or source.get("url") or "a source without a name")
    return SourceView(name, link, str(source.get("licence") or "unknown"))


def _left_out(corpus: Corpus | None) -> Grid | None:
    if corpus is None or not corpus.left_out:
        return None
    rows = corpus.left_out[:MOST_LEFT_OUT]
    more = len(corpus.left_out) - len(rows)
    return Grid(("File", "State", "Reason"), (*rows, *([(f"and {more} more, in the pieces table", "", "")] if more else [])))


def _file(file: dict[str, Any]) -> FileView:
    key = str(file.get("path") or "")
    role, precision = str(file.get("role") or MISSING), str(file.get("precision") or MISSING)
    name = key.rpartition("/")[2] or "a file without a name"
    return FileView(name, file_link(key, _UP), role, precision, size(file.get("bytes")), str(file.get("sha256") or MISSING))


def _decisions(decisions: list[dict[str, Any]]) -> Grid | None:
    if not decisions:
        return None
    rows = tuple(
        (
            str(decision.get("time") or MISSING),
            str(decision.get("status") or MISSING),
            _measure(decision.get("epoch")),
            str(decision.get("why") or MISSING),
        )
        for decision in decisions
    )
    return Grid(("When", "Decision", "Epoch", "Why"), rows)


def _lineage(style: Evidence) -> tuple[tuple[str, str], ...]:
    """Return recipe and lineage as dotted names with their values."""
    named = {"network": style.model.get("network"), "lineage": style.model.get("lineage"), "recipe": style.recipe}
    return tuple(pair for name, value in named.items() if value for pair in flatten(value, name))


def flatten(value: Any, name: str) -> list[tuple[str, str]]:
    """Return nested objects as pairs of dotted name and text; short lists on one line, long ones as their length."""
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in flatten(part, f"{name}.{key}")]
    if isinstance(value, list):
        return [(name, ", ".join(str(part) for part in value) if len(value) <= 16 else f"{len(value)} values")]
    return [(name, MISSING if value is None else str(value))]
