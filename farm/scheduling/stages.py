"""What a worker does for each stage. Every function takes plain data, reads and writes files, and returns what its
receipt will hold; none knows of Ray or of other styles."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farm import layout
from farm.config import Filters, Recipe
from farm.corpus.reading_batches import Batch, is_read, make_batches
from farm.corpus.sources import InputFile
from farm.scheduling import ledger
from farm.scheduling.judging import judge
from farm.scheduling.plan import Work
from farm.scheduling.publishing import publish
from farm.storage import Storage

# Rough costs for a first estimate, on one core of a 2.6 GHz server; receipts replace them after the first run.
_SECONDS_PER_BYTE = {".mxl": 1.1e-5, ".krn": 2e-5, ".abc": 1e-5, ".musicxml": 1e-6, ".xml": 1e-6, ".mei": 1e-6}
_SECONDS_PER_MIDI_BYTE = 1e-7
_NOTES_PER_BYTE = {".mxl": 0.053, ".mid": 0.12, ".abc": 0.27, ".krn": 0.09}
_NOTES_PER_SECOND = 15_000
_SNAPSHOT_BYTES = 6_000_000


def batches_to_read(files: Sequence[InputFile], filters: Filters, storage: Storage) -> list[Batch]:
    """Return the batches of a style that no earlier run has read."""
    return [batch for batch in make_batches(files, filters) if not is_read(batch, storage)]


def read_batch(work: Work, batch: Batch) -> dict[str, Any]:
    """Read one batch of files into the cache."""
    from farm.corpus import reading_batches

    return reading_batches.read_batch(batch, Storage(work.root))


def clean(work: Work, files: Sequence[InputFile]) -> dict[str, Any]:
    """Join what was read into the notes and pieces tables of the style."""
    from farm.corpus.clean import clean_style
    from farm.corpus.tables import STATES

    share, filters = work.recipe.training.heldout_share, work.settings.filters
    facts = clean_style(work.style, files, Storage(work.root), filters=filters, heldout_share=share, seed=work.seed)
    return {**facts, "states": {state: facts[state] for state in STATES}}


def baseline(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Count the n-grams that the network has to beat."""
    import numpy as np

    from farm.music import baselines
    from farm.music.batches import blocks
    from farm.training.loading import load_music

    music = load_music(Storage(work.root), work.style)
    training = work.recipe.training
    reach = {"down": training.transpose_down_semitones, "up": training.transpose_up_semitones}
    known, asked = music.events("train"), music.events("heldout")
    if not asked:  # as the network is judged then: on the last bars of each piece
        begun, ends = blocks(known)
        known = [part.events[: part.end] for part in begun]
        asked = [np.concatenate([part.events[:1], part.events[part.first :]]) for part in ends]
    return dict(baselines.evaluate(known, asked, music.encoding, **reach))


def train(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Train the style's network, or go on where an earlier attempt ended."""
    from farm.training.loading import load_music
    from farm.training.loop import fit

    storage = Storage(work.root)
    run = work.run_id(receipts["read"]["result"]["digest"])

    def report(facts: Mapping[str, Any]) -> None:
        ledger.report_progress(storage, work.style, stage="train", **facts)

    music = load_music(storage, work.style)
    result = fit(
        storage,
        work.style,
        run,
        train=music.events("train"),
        heldout=music.events("heldout"),
        encoding=music.encoding,
        recipe=work.recipe,
        seed=work.seed,
        n_threads=work.threads,
        report=report,
    )
    return {**result, "run": run, "outputs": [layout.metrics(work.style, run), layout.run_recipe(work.style, run)]}


CALLS: dict[str, Callable[[Work, Any], dict[str, Any]]] = {
    "baseline": baseline,
    "train": train,
    "judge": judge,
    "publish": publish,
}


def expected_stage_seconds(
    stage: str, files: Sequence[InputFile], receipts: Mapping[str, Any], recipe: Recipe
) -> float:
    """Return about how long a stage takes on one core: as last time, else by size."""
    if stage in receipts:
        return float(receipts[stage]["seconds"])
    wanted = [file for file in files if file.is_wanted]
    if stage == "read":
        return sum(_SECONDS_PER_BYTE.get(_ending(file), _SECONDS_PER_MIDI_BYTE) * file.bytes for file in wanted)
    notes = receipts["read"]["result"]["notes"] if "read" in receipts else sum(map(_notes_in, wanted))
    if stage == "train":
        return min(notes * recipe.training.max_epochs / _NOTES_PER_SECOND, recipe.training.max_minutes * 60)
    return {"baseline": notes / 10_000, "judge": 30.0, "publish": 3.0}[stage]


def expected_seconds(files: Sequence[InputFile], receipts: Mapping[str, Any], recipe: Recipe) -> float:
    """Return about how long a whole style takes on one core; the longest starts first."""
    return sum(expected_stage_seconds(stage, files, receipts, recipe) for stage in ("read", *CALLS))


def expected_bytes(files: Sequence[InputFile], recipe: Recipe) -> int:
    """Return about how much disk a style's artifacts take."""
    notes = sum(_notes_in(file) for file in files if file.is_wanted)
    return round(notes * 30 + _SNAPSHOT_BYTES * min(40, recipe.training.max_epochs))


def _ending(file: InputFile) -> str:
    return os.path.splitext(file.path)[1].lower()


def _notes_in(file: InputFile) -> float:
    return _NOTES_PER_BYTE.get(_ending(file), 0.1) * file.bytes
