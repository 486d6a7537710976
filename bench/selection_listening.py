"""What the snapshots of a run compose, measured twice: as a rule sees them, and more of them for the truth.

Conventions
-----------
Of every snapshot two sets of samples are measured: `rule`, composed with the recipe's settings and seed as the farm
does, and `truth`, more of them and from other seeds. Of quotes only the weights are kept, a list for each sample in the
order of `farm.selection.copying.FIXED`. The truth has one measure more, that no rule sees: `bits`, what an
n-gram of the style's music (`farm.music.baselines`) gives a note. Random music costs more of them than people's.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from selection_plans import Plan

from farm import layout
from farm.catalog.base_file import BaseFile
from farm.composing.sampling import compose
from farm.config import Recipe
from farm.errors import FarmError
from farm.music.baselines import evaluate
from farm.music.batches import BLOCK_SHARE
from farm.music.encoding import decode
from farm.scheduling.judging import people_of
from farm.scheduling.kinds import compose_samples
from farm.scheduling.work import CODE_VERSIONS
from farm.selection.copying import weights
from farm.selection.figures import Figures
from farm.selection.measures import snapshot_measures
from farm.selection.originality import Index
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music

SEED = 2019
TRUTH_SEED, TRUTH_COUNT, TRUTH_NOTES = 90_001, 8, 200  # piece i of a seed is piece 0 of seed + i: the two never meet
MEASURED_BY = CODE_VERSIONS["measures"]
_DIGITS = 4
_MOST_WINDOWS = 60  # of people's, spread over all
_ENDS = (("", 95), ("_low", 5))

Record = dict[str, Any]


def listen(
    storage: Storage, plan: Plan, music: Music, recipe: Recipe, base: BaseFile | None
) -> tuple[Record, list[Record]]:
    """Return people's level for both sets of samples, and what every snapshot's two sets measure."""
    index = Index.build(music.note_arrays("train"))
    if base is not None:
        index = replace(index, figures=Figures(base.figures))
    lengths = {"rule": recipe.samples.notes, "truth": TRUTH_NOTES}
    level = {length: people_of(music, index, length, {}) for length in set(lengths.values())}
    measured = []
    for epoch in snapshots.epochs(storage, plan.style, plan.name):
        key = layout.sample_notes(plan.style, plan.name, epoch)
        if not storage.exists(key) or storage.read_json(key).get("measured_by") != MEASURED_BY:
            scored = _score(storage, plan, epoch, music, recipe, index)
            storage.write_json(key, {**scored, "measured_by": MEASURED_BY})
        measured.append({name: value for name, value in storage.read_json(key).items() if name != "measured_by"})
    people = {name: plain(level[length]) for name, length in lengths.items()}
    people["truth"] |= _people_bits(music, recipe)
    return people, measured


def _score(storage: Storage, plan: Plan, epoch: int, music: Music, recipe: Recipe, index: Index) -> Record:
    """Return what a snapshot's two sets of samples measure; empty where the network answers with no numbers."""
    samples, began = recipe.samples, time.process_time()
    try:
        drawn, greedy = compose_samples(storage, plan.style, plan.name, epoch, music=music, recipe=recipe, seed=SEED)
        more = compose(
            snapshots.player(storage, plan.style, plan.name, epoch),
            music.encoding,
            notes=TRUTH_NOTES,
            metre=music.usual_metre,
            seed=TRUTH_SEED,
            temperature=samples.temperature,
            top_p=samples.top_p,
            count=TRUTH_COUNT,
        )
    except FarmError:
        return {"epoch": epoch, "rule": {}, "truth": {}, "seconds": 0.0}
    rule = snapshot_measures([notes for notes, _ in drawn], greedy, index)
    truth = snapshot_measures([decode(piece.events, music.encoding) for piece in more], None, index)
    truth["bits"] = _bits(_known(music)[0], [piece.events for piece in more], music, recipe)
    seconds = time.process_time() - began
    return {"epoch": epoch, "rule": plain(rule), "truth": plain(truth), "seconds": seconds}


def _known(music: Music) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the events that the n-gram learns, and people's that it does not: held-out pieces, or the ends of all."""
    train, people = music.events("train"), music.events("heldout")
    if people:
        return train, people
    cuts = [round(len(events) * (1 - BLOCK_SHARE)) for events in train]
    begins = [events[:cut] for events, cut in zip(train, cuts, strict=True)]
    return begins, [np.concatenate([events[:1], events[cut:]]) for events, cut in zip(train, cuts, strict=True)]


def _people_bits(music: Music, recipe: Recipe) -> Record:
    """Return what people's windows, as long as the samples, cost: `bits` [mean, 95th], `bits_low` [mean, 5th]."""
    learnt, people = _known(music)
    windows = [
        np.concatenate([events[:1], events[start : start + TRUTH_NOTES]])
        for events in people
        for start in range(1, len(events), TRUTH_NOTES)
    ]
    long = [window for window in windows if len(window) > TRUTH_NOTES // 2] or windows
    spread = [round(at * (len(long) - 1)) for at in np.linspace(0, 1, min(len(long), _MOST_WINDOWS))]
    bits = [_bits(learnt, [long[at]], music, recipe) for at in spread]
    known = [one for one in bits if one is not None]
    if not known:
        return {}
    return {f"bits{end}": [rounded(np.mean(known)), rounded(np.percentile(known, at))] for end, at in _ENDS}


def _bits(learnt: Sequence[np.ndarray], asked: Sequence[np.ndarray], music: Music, recipe: Recipe) -> float | None:
    """Return the bits a note that an n-gram of a style's music gives to other events."""
    down, up = recipe.training.transpose_down_semitones, recipe.training.transpose_up_semitones
    return evaluate(learnt, asked, music.encoding, down=down, up=up)["bits_per_note"]


def plain(measures: Mapping[str, Any]) -> Record:
    """Return measures rounded, without where copies come from; quotes as their weights, people's as they are."""
    found: Record = {}
    for name, value in measures.items():
        if name == "quotes":
            is_of_people = isinstance(value, Mapping)
            found[name] = value if is_of_people else [list(weights(quotes).values()) for quotes in value]
        elif name != "longest":
            found[name] = [rounded(one) for one in value] if isinstance(value, list) else rounded(value)
    return found


def rounded(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int) else float(np.round(value, _DIGITS))
