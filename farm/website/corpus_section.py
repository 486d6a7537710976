"""What a style learned from, as its page shows it: facts, pictures, and whatever was left out with the reason.

Conventions
-----------
As in `index_page`: finished texts. A part without anything to say is empty, and its part of the template is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farm.music.grid import AUDIBLE_SECONDS
from farm.website.corpus_pictures import Picture, pictures
from farm.website.counts import Corpus, LeftOut
from farm.website.evidence import Evidence, section
from farm.website.measures import Fact, Grid
from farm.website.reasons import why_file, why_note
from farm.website.text import count, decimals, duration, number, plural, share, shortened, whole

_MOST_REASONS = 40
_LEAST_SHARE = 0.001  # what one decimal of a per cent can say
_GONE = "The notes are missing or cannot be read, so pitches and note values cannot be shown."


@dataclass(frozen=True)
class Reason:
    """Why something was left out: the reader's word, what state that led to, how much it struck, a sentence."""

    word: str
    state: str
    number: str
    meaning: str


@dataclass(frozen=True)
class CorpusSection:
    """Everything in the section.

    `grid` says what telling the onsets loses, `gone` what cannot be shown, `examples` names some of the files left out.
    """

    facts: tuple[Fact, ...] = ()
    grid: str = ""
    pictures: tuple[Picture, ...] = ()
    gone: str = ""
    left_out: str = ""
    reasons: tuple[Reason, ...] = ()
    examples: Grid | None = None
    dropped: str = ""
    drops: tuple[Reason, ...] = ()


def corpus_section(style: Evidence) -> CorpusSection:
    """Return the section of one style; without a table of pieces, only what the catalog says."""
    corpus, published = style.corpus, section(style.model.get("corpus"))
    grid = _grid(section(published.get("time_grid")))
    if corpus is None:
        return CorpusSection(facts=_published_facts(published), grid=grid)
    missing = corpus.states["read"] and style.note_counts is None
    return CorpusSection(
        facts=_facts(corpus),
        grid=grid,
        pictures=pictures(corpus, style.note_counts) if corpus.states["read"] else (),
        gone=_GONE if missing else "",
        left_out=_left_out(corpus),
        reasons=_reasons(corpus.left_out),
        examples=_examples(corpus.left_out),
        dropped=_dropped(corpus),
        drops=_drops(corpus.dropped),
    )


def _published_facts(published: dict[str, Any]) -> tuple[Fact, ...]:
    known = {name: published[name] for name in ("pieces", "notes", "rejected") if name in published}
    facts = [Fact(name.capitalize(), count(value), "") for name, value in known.items()]
    facts += [Fact("Hours", decimals(published["hours"], 1), "")] if "hours" in published else []
    return tuple(facts)


def _facts(corpus: Corpus) -> tuple[Fact, ...]:
    facts = [
        Fact("Pieces", count(corpus.states["read"]), f"{count(corpus.heldout)} held out for judging"),
        Fact("Music", duration(corpus.seconds), ""),
        Fact("Notes", count(corpus.notes), ""),
    ]
    if corpus.families:
        facts.append(Fact("Families", count(corpus.families), "a piece and its near-duplicates are one"))
    if corpus.time_bases:
        on_grid, live = (corpus.time_bases.get(base, 0) for base in ("beats", "seconds"))
        note = f"{plural(live, 'piece')} off the stated beat: read in seconds"
        facts.append(Fact("On a beat grid", count(on_grid), note))
    if corpus.repaired:
        facts.append(Fact("Repaired", count(corpus.repaired), "read after their damage was mended"))
    return tuple(facts)


def _grid(told: dict[str, Any]) -> str:
    """Return how finely the network is told onsets, and how many that moves, in a sentence."""
    places, moved = whole(told.get("places_per_beat")), number(told.get("moved_share"))
    if places is None or moved is None:
        return ""
    part = "none" if not moved else share(moved) if moved >= _LEAST_SHARE else f"less than {share(_LEAST_SHARE)}"
    moves = "moves" if not moved else "move"
    limit_ms = round(1000 * AUDIBLE_SECONDS)
    return (
        f"Onsets are told on a grid of {places} places to the beat; {part} of them {moves} by more than {limit_ms} ms."
    )


def _left_out(corpus: Corpus) -> str:
    """Return the sum over all files in a sentence; it stands even where nothing was left out."""
    total = sum(corpus.states.values())
    left = total - corpus.states["read"]
    if not left:
        return f"All {plural(total, 'file')} were read." if total > 1 else "The only file was read." if total else ""
    told = f"{plural(left, 'file')} of {count(total)} {'was' if left == 1 else 'were'} not read"
    told = told if left < total else f"None of {plural(total, 'file')} was read"
    parts = [f"{count(number)} {state}" for state, number in corpus.states.items() if number and state != "read"]
    return f"{told}: {', '.join(parts)}."


def _reasons(left_out: Sequence[LeftOut]) -> tuple[Reason, ...]:
    """Return one row for each state and reason; past `_MOST_REASONS`, the rest in one row."""
    rows = [
        Reason(shortened(part.reason), part.state, count(part.files), why_file(part.reason))
        for part in left_out[:_MOST_REASONS]
    ]
    if rest := left_out[_MOST_REASONS:]:
        rows.append(Reason(plural(len(rest), "other reason"), "", count(sum(part.files for part in rest)), ""))
    return tuple(rows)


def _examples(left_out: Sequence[LeftOut]) -> Grid | None:
    """Return the first files of each reason with what else is known, and how many more there are."""
    rows = []
    for part in left_out[:_MOST_REASONS]:
        reason = shortened(part.reason)
        rows += [(shortened(path), reason, shortened(detail, 200)) for path, detail in part.examples]
        if more := part.files - len(part.examples):
            rows.append((f"and {count(more)} more", reason, ""))
    return Grid(("File", "Reason", "In detail"), tuple(rows)) if rows else None


def _dropped(corpus: Corpus) -> str:
    number = sum(notes for _, notes in corpus.dropped)
    if not number:
        return ""
    told = "was" if number == 1 else "were"
    return (
        f"{plural(number, 'note')} of the pieces read {told} dropped, {share(number / (corpus.notes + number))} of all."
    )


def _drops(dropped: Sequence[tuple[str, int]]) -> tuple[Reason, ...]:
    return tuple(Reason(shortened(word), "", count(notes), why_note(word)) for word, notes in dropped[:_MOST_REASONS])
