"""Which snapshots of a recorded run are good, what each rule picks of them, and how often a pick is good.

Good is what composes well: sixteen samples from seeds that no rule sees neither loop nor copy nor stray further from
the music than people do, in the runs of notes known from it and in the bits that an n-gram gives them. The limits stand
here and not in the farm's settings, so that a changed rule never moves them.

The window of a run is its good snapshots before anything broke: before the learning rate was raised where it was, else
before the first epoch that loses half of the progress. Its best snapshot is the good one with the lowest held-out loss.
That favours the rule `best val_loss` where distances are told, and no rule where windows are.

Conventions
-----------
A record is what `selection_training.work` writes. Epochs count from 1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, median
from typing import Any

from usual_rules import HAS_KNEED, knee, lowest, nearest, side, stopped

from farm.config import Selection
from farm.selection.copying import FIXED, copy_levels, excess
from farm.selection.metrics import read_metrics
from farm.selection.settled import settled
from farm.selection.verdict import judge
from farm.training.loop import STYLE_EVERY, STYLE_MOST
from farm.training.stopping import is_broken

_LIMITS = Selection(copy_floor_notes=12, copy_ceiling_notes=40)  # people's quotes count from and up to here
LEAST_DISTINCT4 = 0.25
LOOPS_ALWAYS_FINE, MOST_LOOPS = 0.1, 0.3  # of the notes; the second where too little is known of people

Record = dict[str, Any]
Pick = tuple[int | None, bool]
"""An epoch or none, and whether the rule calls it fit to use."""
Method = Callable[[Record], Pick]


def faults(measures: Mapping[str, Any], people: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with samples, by people's level: [mean, 95th percentile], the 5th where more is better."""
    if "distinct4" not in measures:
        return ["silent"]
    worst = {name: value[1] for name, value in people.items() if isinstance(value, list)}
    known = not people["weak"] and "lcs" in worst
    distinct4 = max(worst["distinct4"], LEAST_DISTINCT4) if known else LEAST_DISTINCT4
    loops = max(worst["loop_share"], LOOPS_ALWAYS_FINE) if known else MOST_LOOPS
    found = ["loops"] if measures["distinct4"] < distinct4 or measures["loop_share"] > loops else []
    found += ["copies"] if _copies(measures["quotes"], people["quotes"]) else []
    is_random = any(measures[name] < worst[name] for name in ("known2", "known3") if name in measures and name in worst)
    is_random |= "ngram_bits" in worst and (measures["ngram_bits"] or 0) > worst["ngram_bits"]
    return found + (["random"] if is_random else [])


def _copies(quotes: Sequence[Sequence[int]], people: Mapping[str, Any]) -> bool:
    """Tell whether samples quote more than people do, on average over their weights by view."""
    against = copy_levels(people, _LIMITS)
    beyond = [excess(dict(zip(FIXED, weights, strict=True)), against)[0] for weights in quotes] if against else [0.0]
    return against is not None and mean(beyond) > against.line


def _told(measures: Mapping[str, Any]) -> Record:
    """Return measures as the rule asks for them: the weights of quotes as quotes from nowhere."""
    unknown = {"altered": 0, "piece": "", "bar": None}
    quotes = [
        {
            view: [{"fresh": notes, "notes": notes, **unknown}]
            for view, notes in zip(FIXED, weights, strict=True)
            if notes
        }
        for weights in measures.get("quotes", ())
    ]
    return {**measures, "quotes": quotes} if quotes else dict(measures)


def blow_up(record: Record) -> int | None:
    """Return the first epoch after which nothing counts as good."""
    losses = record["metrics"]["loss"]
    broken = next((n for n in range(1, len(losses) + 1) if is_broken(losses[:n])), None)
    raised = record["raised_after"]
    found = [epoch for epoch in (broken, None if raised is None else raised + 1) if epoch and epoch <= len(losses)]
    return min(found, default=None)


def window(record: Record) -> list[int]:
    """Return the good epochs that were kept, before anything broke."""
    end = blow_up(record) or math.inf
    people = record["people"]["truth"]
    return [row["epoch"] for row in record["snapshots"] if row["epoch"] < end and not faults(row["truth"], people)]


def best(record: Record, good: Sequence[int]) -> int | None:
    """Return the good epoch with the lowest held-out loss."""
    return min(good, key=lambda epoch: record["metrics"]["val_loss"][epoch - 1], default=None)


def rows_of(record: Record) -> list[Record]:
    """Return the metrics one row an epoch."""
    columns = record["metrics"]
    return [{"epoch": at + 1, **{name: columns[name][at] for name in columns}} for at in range(len(columns["loss"]))]


def _ours(by_samples: bool, is_farmed: bool) -> Method:
    """Return our rule: with the samples or the curve alone, on the whole run or as far as the farm would have gone."""

    def pick(record: Record) -> Pick:
        rows, rule = rows_of(record), Selection(replicas=1)
        last = _farmed(record, rows, rule) if is_farmed else len(rows)
        kept = [row for row in record["snapshots"] if row["epoch"] <= last]
        measured = [{"epoch": row["epoch"], **(_told(row["rule"]) if by_samples else {})} for row in kept]
        people = record["people"]["rule"] if by_samples else None
        found = judge(rows[:last], measured, people, rule, "bench", start_loss=record["start_loss"])
        return (found["epoch"], found["fit"]) if measured else (None, False)

    return pick


def _farmed(record: Record, rows: Sequence[Record], rule: Selection) -> int:
    """Return after how many epochs the farm would have ended a run; what breaks it would have tried again.

    A run from a base whose held-out loss levelled goes on until its samples are of the style, those of the snapshot
    before the epoch that asks.
    """
    farm, losses = record["farm"], record["metrics"]["loss"]
    for n in range(1, min(len(rows), farm["max_epochs"])):
        if is_broken(losses[:n]):
            return n
        stops = settled(read_metrics(rows[:n]), rule, farm["patience_epochs"], record["start_loss"])
        if stops == "levelled" and record["has_base"] and n < STYLE_MOST:
            kept = [row["rule"].get("ngram_bits") for row in record["snapshots"] if row["epoch"] <= n]
            level = record["people"]["rule"].get("ngram_bits", [math.inf])[0]
            stops = n % STYLE_EVERY == 0 and bool(kept) and kept[-1] is not None and kept[-1] <= level
        if stops:
            return n
    return min(len(rows), farm["max_epochs"])


def _last(record: Record) -> Pick:
    return record["snapshots"][-1]["epoch"], True


def _usual(rule: Callable[..., int | None], column: str, *settings: int) -> Method:
    """Return a usual rule on a column; it takes the snapshot nearest to its epoch."""

    def pick(record: Record) -> Pick:
        found = rule(record["metrics"][column], *settings)
        kept = [row["epoch"] for row in record["snapshots"]]
        return (None, False) if found is None else (nearest(kept, found + 1), True)

    return pick


METHODS: dict[str, tuple[str, Method]] = {
    "curve": ("ours, curve only", _ours(False, False)),
    "samples": ("ours, curve and samples", _ours(True, False)),
    "f-curve": ("as the farm ends it, curve only", _ours(False, True)),
    "f-samples": ("as the farm ends it, and samples", _ours(True, True)),
    "last": ("last epoch", _last),
    "val": ("best val_loss", _usual(lowest, "val_loss")),
    "loss": ("best loss", _usual(lowest, "loss")),
    "es10": ("EarlyStopping(loss), patience 10", _usual(stopped, "loss", 10)),
    "es25": ("EarlyStopping(loss), patience 25", _usual(stopped, "loss", 25)),
    "esv3": ("EarlyStopping(val_loss), patience 3", _usual(stopped, "val_loss", 3)),
    "esv10": ("EarlyStopping(val_loss), patience 10", _usual(stopped, "val_loss", 10)),
    **({"kneed": ("kneed, S=1", _usual(knee, "loss"))} if HAS_KNEED else {}),
}
"""By the head of its column: what a rule is called, and the rule."""


def read_run(record: Record, methods: Mapping[str, tuple[str, Method]]) -> Record:
    """Return what is to be told of a run: window, best epoch, and every rule's pick, with how far off it is.

    Returns
    -------
    good, best, blow_up; picks: by rule epoch, fit, side, and against the best snapshot `apart` (snapshots, signed) and
    `bits` (held-out bits a note above it), both None where there is nothing to tell.
    """
    good, end = window(record), blow_up(record)
    kept = [row["epoch"] for row in record["snapshots"]]
    target = best(record, good)
    picks = {}
    for name, (_, method) in methods.items():
        epoch, is_fit = method(record) if kept else (None, False)
        apart = bits = None
        if epoch is not None and target is not None:
            apart = kept.index(epoch) - kept.index(target)
            losses = record["metrics"]["val_loss"]
            bits = (losses[epoch - 1] - losses[target - 1]) / math.log(2)
        is_after = epoch is not None and end is not None and epoch >= end
        where = side(epoch, good)
        picks[name] = {"epoch": epoch, "fit": is_fit, "side": where, "apart": apart, "bits": bits, "broken": is_after}
    return {"good": good, "best": target, "blow_up": end, "picks": picks}


def summary(read: Sequence[Record], name: str) -> Record:
    """Return how often a rule is right: shares of the runs that have a window, counts on those without one."""
    having = [run["picks"][name] for run in read if run["good"]]
    without = [run["picks"][name] for run in read if not run["good"]]
    shares = {
        one: _share([pick["side"] == one for pick in having]) for one in ("in", "early", "late", "between", "none")
    }
    picked = [pick for pick in having if pick["apart"] is not None]
    return {
        **shares,
        "runs": len(having),
        "unfit": sum(pick["side"] == "in" and not pick["fit"] for pick in having),
        "without": len(without),
        "wrongly_fit": sum(pick["fit"] for pick in without),
        "broken": sum(run["picks"][name]["broken"] for run in read),
        "apart": median([abs(pick["apart"]) for pick in picked]) if picked else None,
        "bits": mean([pick["bits"] for pick in picked]) if picked else None,
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else 0.0
