"""The judge stage: lets every snapshot compose, measures what it composed against people, and picks the epoch.

What a snapshot composed is kept beside the run, so that a changed rule is judged again in moments: only the
settings of the samples, never those of the rule, make a snapshot compose anew. A run that started from a base is held
against the base's music too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from farm import layout
from farm.config import digest
from farm.music.encoding import Encoding
from farm.scheduling import ledger
from farm.scheduling.kinds import compose_samples, heard
from farm.scheduling.starts import copy_index, kin_in_base
from farm.scheduling.work import Work
from farm.selection.measures import VERSION, human_reference, snapshot_measures
from farm.selection.originality import Index
from farm.selection.verdict import judge as judge_run
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, load_music


def judge(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the samples and verdict.json of a run; return the verdict in short."""
    storage = Storage(work.root)
    run = receipts["train"]["result"]["run"]
    encoding = Encoding.from_json(storage.read_json(layout.run_recipe(work.style, run))["encoding"])
    music = load_music(storage, work.style, encoding)
    shown = heard(work.recipe, music)
    index = copy_index(storage, work, receipts, shown.note_arrays("train"))
    human = _people(shown, index, work.recipe.samples.notes, kin_in_base(storage, work, receipts))
    measured = []
    epochs = snapshots.epochs(storage, work.style, run)
    for done, epoch in enumerate(epochs):
        ledger.report_progress(storage, work.style, work.recipe.name, stage="judge", done=done, total=len(epochs))
        measured.append({"epoch": epoch, **_listen(storage, work, run, epoch, music, index)})
    metrics = storage.read_lines(layout.metrics(work.style, run))
    start_loss = storage.read_json(layout.run_recipe(work.style, run))["start_loss"]
    rule = work.recipe.selection
    verdict = judge_run(metrics, measured, human, rule, work.style, start_loss=start_loss, seed=work.seed)
    verdict["human"] = human
    storage.write_json(layout.verdict(work.style, run), verdict)
    storage.write_json(layout.baseline(work.style, run), receipts["baseline"]["result"])
    return {
        "digest": digest(verdict),
        "epoch": verdict["epoch"],
        "verdict": verdict["verdict"],
        "fit": verdict["fit"],
        "reason": verdict["reason"],
        "outputs": [layout.verdict(work.style, run)],
    }


def _people(music: Music, index: Index, length: int, kin: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return what the measures say of people's own pieces; of training pieces where none was held out.

    How much people quote is told by the training pieces too, each held against all but its family.

    Parameters
    ----------
    kin
        For each piece those akin to it that a base heard.
    """
    heldout, train = music.note_arrays("heldout"), music.note_arrays("train")
    families = {piece: {*family, *kin.get(piece, ())} for piece, family in music.families().items()}
    if heldout:
        return human_reference(heldout, index, length, families, train)
    return human_reference(train, index, length, families)


def _listen(storage: Storage, work: Work, run: str, epoch: int, music: Music, index: Index) -> dict[str, Any]:
    """Return the measures of one snapshot's samples, composing them when they are not there yet."""
    key, samples = layout.sample_notes(work.style, run, epoch), work.recipe.samples
    settings = digest([digest(samples), work.seed, VERSION])
    if storage.exists(key):
        kept = storage.read_json(key)
        if kept.get("settings") == settings:
            return dict(kept["measures"])
    drawn, greedy = compose_samples(storage, work.style, run, epoch, music=music, recipe=work.recipe, seed=work.seed)
    measures = snapshot_measures([notes for notes, _ in drawn], greedy, index)
    storage.write_json(
        key,
        {
            "epoch": epoch,
            "settings": settings,
            "seed": work.seed,
            "temperature": samples.temperature,
            "top_p": samples.top_p,
            "tempo_bpm": music.usual_tempo_bpm,
            "metre": music.encoding.metres[music.usual_metre],
            "samples": [{"notes": as_rows(notes), "stopped": stopped} for notes, stopped in drawn],
            "measures": measures,
        },
    )
    return measures


def as_rows(notes: np.ndarray) -> list[list[float]]:
    """Return a note array as JSON: [onset_beat, duration_beat, pitch, velocity] per note."""
    return [
        [
            round(float(note["onset_beat"]), 4),
            round(float(note["duration_beat"]), 4),
            int(note["pitch"]),
            int(note["velocity"]),
        ]
        for note in notes
    ]
