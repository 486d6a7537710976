"""What the snapshots of a run compose, measured twice: as a rule sees them, and more of them for the truth.

Conventions
-----------
Of every snapshot two sets of samples are measured: `rule`, composed with the recipe's settings and seed as the farm
does, and `truth`, more of them and from other seeds. Of quotes only the weights are kept, a list for each sample in the
order of `farm.selection.copying.FIXED`.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from selection_plans import Plan

from farm import layout
from farm.catalog.base_file import BaseFile
from farm.composing.sampling import compose
from farm.config import Recipe
from farm.errors import FarmError
from farm.music.encoding import decode
from farm.scheduling.judging import bits_of, people_of
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
TRUTH_SEED, TRUTH_COUNT, TRUTH_NOTES = 90_001, 16, 200  # piece i of a seed is piece 0 of seed + i: the two never meet
MEASURED_BY = [CODE_VERSIONS["measures"], TRUTH_SEED, TRUTH_COUNT, TRUTH_NOTES]
_DIGITS = 4

Record = dict[str, Any]


def listen(
    storage: Storage, plan: Plan, music: Music, recipe: Recipe, base: BaseFile | None
) -> tuple[Record, list[Record]]:
    """Return people's level for both sets of samples, and what every snapshot's two sets measure."""
    index = Index.build(music.note_arrays("train"))
    if base is not None:
        index = replace(index, figures=Figures(base.figures))
    asked = {"rule": recipe.samples, "truth": recipe.samples.model_copy(update={"notes": TRUTH_NOTES})}
    people = {
        name: plain(people_of(music, index, recipe.model_copy(update={"samples": samples}), {}))
        for name, samples in asked.items()
    }
    measured = []
    for epoch in snapshots.epochs(storage, plan.style, plan.name):
        key = layout.sample_notes(plan.style, plan.name, epoch)
        if not storage.exists(key) or storage.read_json(key).get("measured_by") != MEASURED_BY:
            scored = _score(storage, plan, epoch, music, recipe, index)
            storage.write_json(key, {**scored, "measured_by": MEASURED_BY})
        measured.append({name: value for name, value in storage.read_json(key).items() if name != "measured_by"})
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
    sets = [notes for notes, _ in drawn], [decode(piece.events, music.encoding) for piece in more]
    bits = bits_of(sets, music, recipe)
    rule, truth = (
        {**snapshot_measures(notes, likeliest, index), "ngram_bits": found}
        for notes, likeliest, found in zip(sets, (greedy, None), bits, strict=True)
    )
    seconds = time.process_time() - began
    return {"epoch": epoch, "rule": plain(rule), "truth": plain(truth), "seconds": seconds}


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
