"""From curve and samples to the picked epoch: a class, a confidence, a reason, and all that was weighed.

The curve says where to look and what is safe; the samples of the snapshots decide. Where they disagree the
nearest snapshot that neither loops nor copies is taken, and where there is none, none.

Conventions
-----------
Epochs are those of the table, from 1 in the farm. The result is the content of verdict.json: plain data, no NaN. It
holds all that was seen, so that `judge_again` gives the verdict of another rule without anything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.config import Selection
from farm.selection.candidates import Candidate, Levels, Onsets, find_onsets, levels, read_candidates
from farm.selection.choosing import Pick, choose
from farm.selection.confidence import confidence
from farm.selection.curve import Curve, analyse
from farm.selection.metrics import Metrics, read_metrics, whole
from farm.selection.reason import tell
from farm.selection.rows import measures_of, plain, row

_SPARSE_SHARE = 0.2  # of the run between the snapshots on both sides of the pick


@dataclass(frozen=True)
class Reading:
    """Everything that was made of one run by one rule."""

    curve: Curve
    candidates: list[Candidate]
    onsets: Onsets
    pick: Pick


def judge(
    metrics: Sequence[Mapping[str, Any]],
    snapshots: Sequence[Mapping[str, Any]],
    human: Mapping[str, Any] | None,
    rule: Selection,
    style: str,
    *,
    start_loss: float | None = None,
    seed: int = 2019,
) -> dict[str, Any]:
    """Return the content of verdict.json for one run.

    Parameters
    ----------
    metrics
        Records with `epoch`, `loss` and perhaps `accuracy`, `val_loss`; the last record of an epoch counts.
    snapshots
        Records with `epoch` and the measures of its samples; those without a whole epoch are left out. Without any,
        every epoch is a candidate and the curve alone decides.
    human
        The same measures of held-out people's pieces: [mean, 95th percentile] (5th for distinct4, known2, known3),
        perhaps under `corpus_heldout`; None when there are none.
    start_loss
        Loss of an untrained network, nats per note, for a run that started from trained weights.

    Returns
    -------
    As in the contract, with `fit`, `flags`, `signal` besides ('heldout' or 'shoulder', the loss that decides; 'turned'
    where the held-out loss turned up and samples decide from there on; or null), `nearest` (the epoch that comes
    nearest to being fit where none is), and what was seen: `metrics` (the columns up to the first loss that is no
    number), `human`, `start_loss`, `seed`; the measures of the samples are in `candidates`. `epoch` is null when
    nothing is fit to use. An empty table gives no epoch and 'not-converged'.
    """
    people = (human or {}).get("corpus_heldout", human)
    known = [snapshot for snapshot in snapshots if whole(snapshot.get("epoch")) is not None]
    return _judge(read_metrics(metrics), known, people, rule, style, start_loss, seed)


def judge_again(verdict: Mapping[str, Any], rule: Selection) -> dict[str, Any]:
    """Return the verdict that another rule gives on what an earlier one saw: the content of its verdict.json.

    Nothing is composed, measured or read; with the same rule the result is the same verdict. What a person decided
    about the earlier one (`overruled_by`) does not carry over.
    """
    table, snapshots = Metrics.from_json(verdict["metrics"]), [measures_of(row) for row in verdict["candidates"]]
    return _judge(table, snapshots, verdict["human"], rule, verdict["style"], verdict["start_loss"], verdict["seed"])


def _judge(
    table: Metrics,
    snapshots: Sequence[Mapping[str, Any]],
    human: Mapping[str, Any] | None,
    rule: Selection,
    style: str,
    start_loss: float | None,
    seed: int,
) -> dict[str, Any]:
    against = levels(human, rule)

    def read(table: Metrics, rule: Selection, against: Levels, width: int | None) -> Reading:
        curve = analyse(table, rule, start_loss, width)
        candidates = read_candidates(snapshots, curve, against, rule)
        onsets = find_onsets(candidates, curve)
        return Reading(curve, candidates, onsets, choose(curve, candidates, onsets))

    reading = read(table, rule, against, None)
    curve, onsets, pick = reading.curve, reading.onsets, reading.pick
    epochs = [candidate.epoch for candidate in reading.candidates]
    sure = confidence(pick.epoch, lambda *moved: read(*moved).pick.epoch, table, rule, against, epochs, seed)
    return {
        "style": style,
        "epoch": pick.epoch,
        "provisional": pick.provisional,
        "fit": pick.fit,
        "verdict": pick.verdict,
        "plateau": {"first": curve.plateau_first, "flat": curve.plateau_flat},
        "blow_up": curve.blow_up,
        "repetition_ends": onsets.fluent,
        "copying_begins": onsets.memo,
        "signal": _signal(curve, pick),
        "flags": _flags(reading, against),
        "confidence": sure,
        "nearest": None if pick.nearest is None else pick.nearest.epoch,
        "reason": tell(curve, reading.candidates, onsets, against, pick),
        "neighbours": _neighbours(epochs, pick.epoch),
        "overruled_by": None,
        "rule": rule.model_dump(),
        "candidates": [row(candidate, curve, onsets) for candidate in reading.candidates] if snapshots else [],
        "human": plain(human),
        "start_loss": start_loss,
        "seed": seed,
        "metrics": table.to_json(),
    }


def _signal(curve: Curve, pick: Pick) -> str | None:
    if curve.target is None:
        return None
    return "heldout" if curve.by_heldout else "turned" if pick.why == "turned" else "shoulder"


def _neighbours(epochs: Sequence[int], epoch: int | None) -> list[int]:
    """Return the snapshots before and after the pick."""
    if epoch is None:
        return []
    at = int(np.searchsorted(epochs, epoch))
    return [int(epochs[index]) for index in (at - 1, at + 1) if 0 <= index < len(epochs)]


def _flags(reading: Reading, against: Levels) -> list[str]:
    """Return what a person should know besides: spikes, a retry, early overfitting, weak or sparse evidence."""
    curve, epoch = reading.curve, reading.pick.epoch
    flags = list(curve.flags)
    if curve.metrics.retry is not None:
        flags.append(f"retried@{curve.metrics.retry[0]}")
    heldout = curve.heldout
    if epoch is not None and heldout is not None and not heldout.usable and heldout.rises:
        best = int(curve.metrics.epochs[curve.region[0] + heldout.best])
        before = int(curve.metrics.epochs[0]) - 1  # so that a table from 0 is read as one from 1
        if best - before < (epoch - before) / 2:
            flags.append(f"overfits-early@{best}")
    heard = any(candidate.heard for candidate in reading.candidates)
    if heard and against.weak:
        flags.append("weak-reference")
    if heard and against.quotes is not None and not against.quotes.by_people:
        flags.append("fixed-copy-levels")
    if epoch is not None and not heard:
        flags.append("not-heard")
    for candidate in reading.candidates:
        far = candidate.measures.get("lcs_max", 0.0) > 2 * against.copy_notes if against.quotes is None else False
        if candidate.epoch == epoch and (candidate.one_copies or far):
            flags.append("one-sample-copies")
    near = _neighbours([candidate.epoch for candidate in reading.candidates], epoch)
    if len(near) == 2 and near[1] - near[0] > _SPARSE_SHARE * curve.metrics.n_recorded:
        flags.append("sparse-snapshots")
    return flags
