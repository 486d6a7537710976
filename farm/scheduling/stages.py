"""What a worker does for each stage. Every function takes plain data, reads and writes files, and returns what its
receipt will hold; none knows of Ray. The base's own stage is `farm.scheduling.base_stage`."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farm import layout
from farm.config import BASE, NONE, Filters, Recipe, Training
from farm.corpus.batching import Batch, make_batches
from farm.corpus.reading_batches import is_read
from farm.corpus.sources import InputFile
from farm.scheduling import ledger
from farm.scheduling.judging import judge
from farm.scheduling.kinds import NOTES_PER_SECOND
from farm.scheduling.publishing import publish
from farm.scheduling.work import BaseWork, Work
from farm.storage import Storage

# Rough costs for a first estimate, on one core of a 2.6 GHz server; receipts replace them after the first run.
_SECONDS_PER_BYTE = {".mxl": 1.1e-5, ".krn": 2e-5, ".abc": 1e-5, ".musicxml": 1e-6, ".xml": 1e-6, ".mei": 1e-6}
_SECONDS_PER_MIDI_BYTE = 1e-7
_NOTES_PER_BYTE = {".mxl": 0.053, ".mid": 0.12, ".abc": 0.27, ".krn": 0.09}
_SNAPSHOT_BYTES = 6_000_000


def batches_to_read(files: Sequence[InputFile], filters: Filters, storage: Storage) -> list[Batch]:
    """Return the batches of a style that no earlier run has read."""
    return [batch for batch in make_batches(files, filters) if not is_read(batch, storage)]


def read_batch(work: Work, batch: Batch) -> dict[str, Any]:
    """Read one batch of files into the cache."""
    from farm.corpus import reading_batches

    return reading_batches.read_batch(batch, work.storage())


def clean(work: Work, files: Sequence[InputFile]) -> dict[str, Any]:
    """Join what was read into the notes and pieces tables of the style."""
    from farm.corpus.clean import clean_style
    from farm.corpus.tables import STATES

    share, filters = work.recipe.training.heldout_share, work.settings.filters
    facts = clean_style(work.style, files, work.storage(), filters=filters, heldout_share=share, seed=work.seed)
    return {**facts, "states": {state: facts[state] for state in STATES}}


def baseline(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Count the n-grams that the network has to beat."""
    from farm.music import baselines
    from farm.scheduling.starts import opened
    from farm.training.loading import load_music

    # A common base has velocity where any style has; a base file may not.
    given = None if work.start in (BASE, NONE) else opened(work).encoding
    music = load_music(work.storage(), work.style, given)
    learnt, asked = music.learnt_and_asked()
    down, up = work.recipe.training.transpose_down_semitones, work.recipe.training.transpose_up_semitones
    return dict(baselines.evaluate(learnt, asked, music.encoding, down=down, up=up))


def train(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Train the style's network, or go on where an earlier attempt ended."""
    from farm.scheduling.kinds import fit_of
    from farm.scheduling.starts import load_start
    from farm.scheduling.style_check import style_check
    from farm.training.loading import choose_encoding, split_events

    storage = work.storage()
    base_digest = work.start_digest(receipts.get(BASE, {}).get("result"))
    run = work.run_id(receipts["read"]["result"]["digest"], base_digest)
    start = load_start(storage, work, receipts)
    notes = receipts["read"]["result"]["notes"]
    training = work.recipe.training if start is None else work.recipe.training_from_base_with(notes)

    def report(facts: Mapping[str, Any]) -> None:
        ledger.report_progress(storage, work.style, work.recipe.name, stage="train", **facts)

    encoding, _ = choose_encoding(storage, work.style, start.encoding if start else None)
    asked = {"start_from": start.weights, "is_of_style": style_check(storage, work, encoding)} if start else {}
    heard, heldout = split_events(storage, work.style, encoding)
    result = fit_of(work.recipe)(
        storage,
        work.style,
        run,
        train=heard,
        heldout=heldout,
        encoding=encoding,
        recipe=work.recipe.model_copy(update={"training": training}),
        seed=work.seed,
        n_threads=work.threads,
        report=report,
        **asked,  # not every kind can start from another network
    )
    return {**result, "run": run, "outputs": [layout.metrics(work.style, run), layout.run_recipe(work.style, run)]}


CALLS: dict[str, Callable[..., dict[str, Any]]] = {
    "baseline": baseline,
    "train": train,
    "judge": judge,
    "publish": publish,
}


def expected_stage_seconds(key: str, files: Sequence[InputFile], receipts: Mapping[str, Any], recipe: Recipe) -> float:
    """Return about how long a job takes on one core: as last time, else by size."""
    if key in receipts:
        return float(receipts[key]["seconds"])
    wanted, stage = [file for file in files if file.is_wanted], key.partition("/")[0]
    if stage == "read":
        return sum(_SECONDS_PER_BYTE.get(_ending(file), _SECONDS_PER_MIDI_BYTE) * file.bytes for file in wanted)
    notes = receipts["read"]["result"]["notes"] if "read" in receipts else sum(map(_notes_in, wanted))
    if stage == "train":
        return _training_seconds(notes, recipe, recipe.training)
    return {"baseline": notes / 10_000, "judge": 30.0, "publish": 3.0}[stage]


def expected_seconds(files: Sequence[InputFile], receipts: Mapping[str, Any], work: Work) -> float:
    """Return about how long a whole style takes on one core; the longest starts first."""
    shared = sum(
        expected_stage_seconds(stage, files, receipts, work.recipe) for stage in ("read", "baseline", "publish")
    )
    return shared + sum(
        expected_stage_seconds(f"{stage}/{recipe.name}", files, receipts, recipe)
        for recipe in work.recipes
        for stage in ("train", "judge")
    )


def expected_base_seconds(work: BaseWork, files: Sequence[Sequence[InputFile]], receipts: Mapping[str, Any]) -> float:
    """Return about how long a base takes on one core; `files` are those of each style that it hears."""
    key = f"{BASE}/{work.recipe.name}"
    if key in receipts:
        return float(receipts[key]["seconds"])
    notes = sum(_notes_in(file) for listed in files for file in listed if file.is_wanted)
    return _training_seconds(notes, work.recipe, work.recipe.training_of_base)


def expected_bytes(files: Sequence[InputFile], recipes: Sequence[Recipe]) -> int:
    """Return about how much disk a style's artifacts take."""
    notes = sum(_notes_in(file) for file in files if file.is_wanted)
    return round(notes * 30 + sum(_SNAPSHOT_BYTES * min(40, recipe.training.max_epochs) for recipe in recipes))


def _training_seconds(notes: float, recipe: Recipe, training: Training) -> float:
    epoch_notes = min(notes, training.epoch_notes or notes)
    rate = NOTES_PER_SECOND[recipe.network.kind]
    return min(epoch_notes * training.max_epochs / rate, training.max_minutes * 60)


def _ending(file: InputFile) -> str:
    return os.path.splitext(file.path)[1].lower()


def _notes_in(file: InputFile) -> float:
    return _NOTES_PER_BYTE.get(_ending(file), 0.1) * file.bytes
