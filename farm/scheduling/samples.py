"""What the snapshots of a run composed, kept beside it; a farm that measures otherwise measures them again.

Conventions
-----------
Notes are kept as rows of JSON, rounded to a ten-thousandth of a beat, and measured as they were kept: what is measured
again gives the same as what was just composed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from farm import layout
from farm.music.encoding import NOTE
from farm.scheduling.kinds import compose_samples
from farm.scheduling.work import CODE_VERSIONS, Work
from farm.selection.measures import snapshot_measures
from farm.selection.originality import Index
from farm.storage import Storage
from farm.training.loading import Music

_DIGITS = 4


def listen(
    storage: Storage, work: Work, run: str, epoch: int, *, settings: str, music: Music, index: Index
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the measures of one snapshot's samples, and their notes, composing them when they are not there yet.

    Parameters
    ----------
    settings
        A digest of all that the notes depend on: samples of another one are composed anew.
    index
        The corpus that they are held against.
    """
    key = layout.sample_notes(work.style, run, epoch)
    kept = storage.read_json(key) if storage.exists(key) else {}
    if kept.get("settings") != settings:
        kept = {"settings": settings, **_composed(storage, work, run, epoch, music)}
    notes = [notes_of(one) for one in kept["samples"]]
    if kept.get("measures_version") != CODE_VERSIONS["measures"]:
        measures = snapshot_measures(notes, notes_of(kept["greedy"]), index)
        kept = {**kept, "measures_version": CODE_VERSIONS["measures"], "measures": measures}
        storage.write_json(key, kept)
    return dict(kept["measures"]), notes


def _composed(storage: Storage, work: Work, run: str, epoch: int, music: Music) -> dict[str, Any]:
    samples = work.recipe.samples
    drawn, greedy = compose_samples(storage, work.style, run, epoch, music=music, recipe=work.recipe, seed=work.seed)
    return {
        "epoch": epoch,
        "seed": work.seed,
        "temperature": samples.temperature,
        "top_p": samples.top_p,
        "tempo_bpm": music.usual_tempo_bpm,
        "metre": music.encoding.metres[music.usual_metre],
        "samples": [{**_as_rows(notes), "stopped": stopped} for notes, stopped in drawn],
        "greedy": _as_rows(greedy),
    }


def notes_of(kept: Mapping[str, Any]) -> np.ndarray:
    """Return the note array of a sample as it was kept."""
    rows = zip(kept["notes"], kept["beat_in_bar"], strict=True)
    return np.array([(*row, beat) for row, beat in rows], NOTE)


def _as_rows(notes: np.ndarray) -> dict[str, Any]:
    """Return a note array as JSON: onset_beat, duration_beat, pitch, velocity of each note, and its beat in the bar."""
    onsets, durations, beats = (
        notes[name].round(_DIGITS).tolist() for name in ("onset_beat", "duration_beat", "beat_in_bar")
    )
    rows = zip(onsets, durations, notes["pitch"].tolist(), notes["velocity"].tolist(), strict=True)
    return {"notes": [list(row) for row in rows], "beat_in_bar": beats}
