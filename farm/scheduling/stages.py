"""What a worker does for each stage. Every function takes plain data, reads and writes files, and returns what its
receipt will hold; none knows of Ray. The base's own stage is `farm.scheduling.base_stage`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farm import layout
from farm.config import BASE, NONE, Filters
from farm.corpus.batching import Batch, make_batches
from farm.corpus.reading_batches import is_read
from farm.corpus.sources import InputFile
from farm.scheduling import ledger
from farm.scheduling.judging import judge
from farm.scheduling.publishing import publish
from farm.scheduling.work import Work
from farm.storage import Storage


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
        seed=work.training_seed,
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
