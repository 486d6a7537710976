"""The judge stage: lets every snapshot compose, measures what it composed against people, and picks the epoch.

What a snapshot composed is kept beside the run, and what was measured in the verdict, so that a changed rule is judged
again in moments: only other settings of the samples, other weights or another version of what composes make a snapshot
compose anew, and another version of what measures only measures again. A run that started from a base is held against
the base's music too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farm import layout
from farm.config import Recipe, digest
from farm.music.encoding import Encoding, encode
from farm.scheduling import ledger
from farm.scheduling.kinds import heard
from farm.scheduling.samples import listen
from farm.scheduling.starts import copy_index, kin_in_base
from farm.scheduling.work import CODE_VERSIONS, Work
from farm.selection.measures import human_reference
from farm.selection.metrics import read_metrics
from farm.selection.originality import Index
from farm.selection.surprise import people_bits, sample_bits
from farm.selection.verdict import judge as judge_run
from farm.selection.verdict import judge_again
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, load_music


def judge(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the samples and verdict.json of a run; return the verdict in short."""
    storage = work.storage()
    run = receipts["train"]["result"]["run"]
    metrics = storage.read_lines(layout.metrics(work.style, run))
    epochs = snapshots.epochs(storage, work.style, run)
    conditions = {epoch: _conditions(storage, work, run, epoch) for epoch in epochs}
    curve = read_metrics(metrics).to_json()  # without what the clock says, and each epoch once
    heard_as = digest([digest(curve), sorted(conditions.items()), CODE_VERSIONS["measures"]])
    verdict = _judged_again(storage, work, run, epochs, heard_as)
    if verdict is None:
        verdict = _judged(storage, work, receipts, run, metrics, conditions)
    storage.write_json(layout.verdict(work.style, run), {**verdict, "heard_as": heard_as})
    storage.write_json(layout.baseline(work.style, run), receipts["baseline"]["result"])
    return {
        "digest": digest(verdict),
        "epoch": verdict["epoch"],
        "verdict": verdict["verdict"],
        "fit": verdict["fit"],
        "reason": verdict["reason"],
        "outputs": [layout.verdict(work.style, run)],
    }


def _conditions(storage: Storage, work: Work, run: str, epoch: int) -> str:
    """Return a digest of all that the samples of a snapshot depend on beside the music: that is the run's own."""
    weights = hashlib.sha256(storage.read_bytes(layout.snapshot(work.style, run, epoch))).hexdigest()
    return digest([digest(work.recipe.samples), work.seed, CODE_VERSIONS["samples"], weights])


def _judged_again(
    storage: Storage, work: Work, run: str, epochs: Sequence[int], heard_as: str
) -> dict[str, Any] | None:
    """Return the verdict by the measures in the last one; None when there is something to hear first."""
    outputs = [layout.verdict(work.style, run), *(layout.sample_notes(work.style, run, epoch) for epoch in epochs)]
    if not all(map(storage.exists, outputs)):
        return None
    before = storage.read_json(outputs[0])
    return judge_again(before, work.recipe.selection) if before.get("heard_as") == heard_as else None


def _judged(
    storage: Storage,
    work: Work,
    receipts: Mapping[str, Any],
    run: str,
    metrics: Sequence[Mapping[str, Any]],
    conditions: Mapping[int, str],
) -> dict[str, Any]:
    """Return the verdict on a run, whose snapshots compose where they have not yet under these conditions."""
    encoding = Encoding.from_json(storage.read_json(layout.run_recipe(work.style, run))["encoding"])
    music = load_music(storage, work.style, encoding)
    shown = heard(work.recipe, music)
    index = copy_index(storage, work, receipts, shown.note_arrays("train"))
    human = people_of(shown, index, work.recipe, kin_in_base(storage, work, receipts))
    measured, drawn = [], []
    for done, (epoch, settings) in enumerate(conditions.items()):
        ledger.report_progress(storage, work.style, work.recipe.name, stage="judge", done=done, total=len(conditions))
        measures, notes = listen(storage, work, run, epoch, settings=settings, music=music, index=index)
        measured.append({"epoch": epoch, **measures})
        drawn.append(notes)
    bits = bits_of(drawn, shown, work.recipe)
    measured = [{**row, "ngram_bits": found} for row, found in zip(measured, bits, strict=True)]
    start_loss = storage.read_json(layout.run_recipe(work.style, run))["start_loss"]
    rule = work.recipe.selection
    return judge_run(metrics, measured, human, rule, work.style, start_loss=start_loss, seed=work.seed)


def bits_of(drawn: Sequence[Sequence[np.ndarray]], music: Music, recipe: Recipe) -> list[float | None]:
    """Return what a note of the samples of each snapshot, note arrays, costs under an n-gram of the style's music."""
    metre = music.encoding.metres[music.usual_metre]
    events = [[encode(notes, music.encoding, metre) for notes in samples] for samples in drawn]
    learnt, _ = music.learnt_and_asked()
    down, up = recipe.training.transpose_down_semitones, recipe.training.transpose_up_semitones
    return sample_bits(learnt, events, music.encoding, down=down, up=up)


def people_of(music: Music, index: Index, recipe: Recipe, kin: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return what the measures say of people's own pieces, held out or not, each held against all but its family.

    What an n-gram gives them is told by what was held out only.

    Parameters
    ----------
    kin
        For each piece those akin to it that a base heard.
    """
    heldout, train, length = music.note_arrays("heldout"), music.note_arrays("train"), recipe.samples.notes
    families = {piece: {*family, *kin.get(piece, ())} for piece, family in music.families().items()}
    level = human_reference(heldout, index, length, families, train)
    bits = people_bits_of(music, recipe)
    return level if bits is None else {**level, "ngram_bits": bits}


def people_bits_of(music: Music, recipe: Recipe) -> list[float] | None:
    """Return what an n-gram of a style gives music held out from it, [mean, 95th percentile]; None without any."""
    learnt, asked = music.learnt_and_asked()
    down, up = recipe.training.transpose_down_semitones, recipe.training.transpose_up_semitones
    return people_bits(learnt, asked, music.encoding, recipe.samples.notes, down=down, up=up)
