"""The snapshots of a run as the rule sees them: safe or not, looping, copying or too random.

Conventions
-----------
A snapshot is a mapping with `epoch` and any of the measures of `farm.selection.measures`; what is missing or no
number is not judged. People's level is a mapping from measure to [mean, 95th percentile], or the 5th where more
is better (`distinct4`, `known2`, `known3`). Copying is judged by the quotes where samples and people were searched
for them (`farm.selection.copying`), else by the mean of the longest exact matches. An onset needs two snapshots in a
row: the measures come from a handful of samples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.config import Selection
from farm.selection.copying import CopyLevels, Quotes, copy_levels, excess, weights, worst_quote
from farm.selection.curve import Curve
from farm.selection.metrics import number

MADE_OF_QUOTES = ("excess_mean", "excess_max", "quote")
"""What the rule tells of the quotes of a snapshot; not measures, whoever gives them."""

_OF_STYLE = {"known2": 1, "known3": 1, "ngram_bits": -1}
"""What tells whether samples are of the style: measures of which more is better (1), or less (-1)."""

_LOOPS_ALWAYS_FINE = 0.1  # share of notes in loops that no style is blamed for, however little its people loop


@dataclass(frozen=True)
class Levels:
    """The levels that samples are held against; NaN where no people's level is known."""

    copy_notes: float  # a longer mean match with the corpus is copying, where there is nothing better to go by
    greedy_distinct4: float  # fewer distinct 4-grams of the likeliest continuation is looping
    distinct4: float  # the same for the drawn samples
    loop_share: float  # more notes in loops is looping
    style: tuple[tuple[str, float], ...]  # fewer known n-grams, or more bits a note, is too random
    by_people: bool  # the line for copies is people's own level, not a fixed floor or ceiling
    weak: bool  # people's level rests on too little music
    quotes: CopyLevels | None = None  # what copying is judged by where samples and people were searched for quotes


@dataclass(frozen=True)
class Candidate:
    """One snapshot, judged. `looping_greedy` is None where no greedy sample was measured."""

    epoch: int
    safe: bool
    heard: bool
    looping_greedy: bool | None
    looping: bool
    stuck: bool  # so few distinct 4-grams in the drawn samples that no reading of them helps
    copying: bool
    loose: bool
    knows: bool | None  # its samples are of the style as people's pieces are; None where that cannot be told
    told_by_bits: bool  # an n-gram tells whether its samples are of the style
    measures: dict[str, float]
    longest: Mapping[str, Any] | None = None  # the longest exact copy
    quotes: Sequence[Quotes] | None = None  # of every sample, the weightiest of every view
    quote: Mapping[str, Any] | None = None  # the quote furthest beyond what people do, and where it stands
    one_copies: bool = False  # a sample quotes more than people do, whatever the others do


@dataclass(frozen=True)
class Onsets:
    """When the samples turn good and when they turn into copies; None for never."""

    fluent: int | None  # first epoch that no longer loops
    memo: int | None  # first epoch that copies
    by_greedy: bool  # looping is judged on the greedy samples, else on the drawn ones


def levels(human: Mapping[str, Any] | None, rule: Selection) -> Levels:
    """Return the levels of a style; without people's measures, or weak ones, the fixed floors of the rule.

    What tells the style is taken from weak measures too: there is no fixed floor that would fit both hymns and Debussy.
    """
    human = human or {}
    longest = _percentile(human, "lcs")
    style = tuple((name, _strangest(human, name)) for name in _OF_STYLE)
    quotes = copy_levels(human.get("quotes"), rule)
    if human.get("weak") or not math.isfinite(longest):
        floors = (rule.copy_floor_notes, rule.loop_distinct4, rule.loop_distinct4, rule.loop_notes_share)
        return Levels(*floors, style, False, True, quotes)
    distinct4, loops = _percentile(human, "distinct4"), _percentile(human, "loop_share")
    return Levels(
        copy_notes=float(np.clip(longest, rule.copy_floor_notes, rule.copy_ceiling_notes)),
        greedy_distinct4=rule.loop_distinct4,
        distinct4=distinct4 if math.isfinite(distinct4) else rule.loop_distinct4,
        loop_share=max(loops, _LOOPS_ALWAYS_FINE) if math.isfinite(loops) else rule.loop_notes_share,
        style=style,
        by_people=rule.copy_floor_notes <= longest <= rule.copy_ceiling_notes,
        weak=False,
        quotes=quotes,
    )


def read_candidates(
    snapshots: Sequence[Mapping[str, Any]], curve: Curve, against: Levels, rule: Selection
) -> list[Candidate]:
    """Return the snapshots ordered by epoch, judged one by one; without any, every epoch of the curve."""
    rows: dict[int, Mapping[str, Any]] = {int(epoch): {} for epoch in curve.metrics.epochs} if not snapshots else {}
    rows |= {int(number(snapshot["epoch"])): snapshot for snapshot in snapshots}
    epochs = sorted(rows)
    safe = [curve.is_safe(epoch) for epoch in epochs]
    style = {name: _around([number(rows[epoch].get(name)) for epoch in epochs], safe) for name in _OF_STYLE}
    return [
        _judged(epoch, rows[epoch], {name: values[at] for name, values in style.items()}, curve, against, rule)
        for at, epoch in enumerate(epochs)
    ]


def _around(values: Sequence[float], states: Sequence[bool]) -> list[float]:
    """Return the mean of each number and those beside it that are in the same state; NaN where all are none.

    How strange a handful of samples is differs from snapshot to snapshot by as much as from people's usual music to
    their strangest.
    """
    found = []
    for at, state in enumerate(states):
        near = [values[one] for one in (at - 1, at, at + 1) if 0 <= one < len(values) and states[one] == state]
        numbers = [value for value in near if math.isfinite(value)]
        found.append(sum(numbers) / len(numbers) if numbers else math.nan)
    return found


def _judged(
    epoch: int,
    snapshot: Mapping[str, Any],
    style: Mapping[str, float],
    curve: Curve,
    against: Levels,
    rule: Selection,
) -> Candidate:
    measures = {
        name: value
        for name, value in ((name, number(value)) for name, value in snapshot.items())
        if math.isfinite(value) and name not in ("epoch", *MADE_OF_QUOTES)
    }
    told, longest = snapshot.get("quotes"), snapshot.get("longest")
    samples = told if isinstance(told, list) else None  # a table of anybody's may call a number that
    quote, one_copies = None, False
    copying = measures.get("lcs_mean", math.nan) > against.copy_notes
    if samples and against.quotes is not None:
        beyond = [excess(weights(quotes), against.quotes)[0] for quotes in samples]
        measures |= {"excess_mean": float(np.mean(beyond)), "excess_max": max(beyond)}
        copying, one_copies = measures["excess_mean"] > against.quotes.line, max(beyond) > against.quotes.line
        quote = worst_quote(samples, against.quotes)
    greedy = measures.get("greedy_distinct4")
    distinct4, loops = measures.get("distinct4", math.nan), measures.get("loop_share", math.nan)
    comparable = {
        name: _OF_STYLE[name] * (style[name] - limit)
        for name, limit in against.style
        if math.isfinite(style[name]) and limit > 0
    }
    knows = min(comparable.values(), default=0.0) >= 0
    return Candidate(
        epoch=epoch,
        safe=curve.is_safe(epoch),
        heard=any(name in measures for name in ("lcs_mean", "distinct4", "greedy_distinct4", "loop_share")),
        looping_greedy=None if greedy is None else greedy < against.greedy_distinct4,
        looping=distinct4 < against.distinct4 or loops > against.loop_share,
        stuck=distinct4 < rule.loop_distinct4,
        copying=copying,
        loose=bool(comparable) and not knows,
        knows=knows if comparable else None,
        told_by_bits="ngram_bits" in comparable,
        measures=measures,
        longest=longest if isinstance(longest, Mapping) else None,
        quotes=samples and [{view: listed[:1] for view, listed in quotes.items()} for quotes in samples],
        quote=quote,
        one_copies=one_copies,
    )


def find_onsets(candidates: Sequence[Candidate], curve: Curve) -> Onsets:
    """Return when the loops end and when copying begins.

    Drawn at temperature 1 an under-trained network is random, which looks varied. Where an n-gram tells random samples
    from those of the style, the drawn ones are held against people; else only the likeliest continuation betrays it,
    and looping is judged on the greedy sample. But greedy decoding loops on and off even in good networks of large
    corpora: the drawn samples decide too where the held-out loss does, and where the greedy ones never stop looping and
    how much of the drawn ones is known from the corpus tells random from learnt.
    """
    heard = [candidate for candidate in candidates if candidate.heard]
    greedy = [(one.epoch, not one.looping_greedy) for one in heard if one.looping_greedy is not None]
    drawn = [(one.epoch, not one.looping and not one.loose) for one in heard]
    fluent_greedy, fluent = (_onset(states, alone_from=curve.plateau_first) for states in (greedy, drawn))
    is_told = curve.by_heldout or any(one.told_by_bits for one in heard)
    is_told |= fluent_greedy is None and any(one.knows is not None for one in heard)
    by_greedy = bool(greedy) and not (is_told and any("distinct4" in one.measures for one in heard))
    return Onsets(
        fluent=fluent_greedy if by_greedy else fluent,
        memo=_onset([(candidate.epoch, candidate.copying) for candidate in heard]),
        by_greedy=by_greedy,
    )


def passes(candidate: Candidate, onsets: Onsets) -> bool:
    """Tell whether a snapshot's samples are inside people's range."""
    return candidate.heard and not faults(candidate, onsets)


def faults(candidate: Candidate, onsets: Onsets) -> list[str]:
    """Return in what a snapshot's samples are outside people's range: of copying, looping, random; worst first."""
    looping = candidate.looping_greedy if onsets.by_greedy else candidate.looping
    found = {"copying": candidate.copying, "looping": looping or candidate.stuck, "random": candidate.loose}
    return [name for name, is_so in found.items() if is_so]


def _onset(states: Sequence[tuple[int, bool]], alone_from: int | None = None) -> int | None:
    """Return the first epoch that is so at it and at the next; the last one needs no next.

    From `alone_from` on one snapshot is enough: there the curve has already said the same.
    """
    for index, (epoch, state) in enumerate(states):
        alone = index + 1 == len(states) or (alone_from is not None and epoch >= alone_from)
        if state and (alone or states[index + 1][1]):
            return epoch
    return None


def _strangest(human: Mapping[str, Any], name: str) -> float:
    """Return people's level of what tells the style: the percentile, but of bits half of the way there from the mean.

    Bits differ little from sample to sample, and the mean of several is held against people's single windows.
    """
    last = _percentile(human, name)
    return (last + number(human[name][0])) / 2 if name == "ngram_bits" and math.isfinite(last) else last


def _percentile(human: Mapping[str, Any], name: str) -> float:
    """Return the second number of a people's measure, NaN when it is not there."""
    value = human.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) >= 2:
        return number(value[1])
    return math.nan
