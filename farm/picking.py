"""`farm pick`: from anybody's training log to the epoch to use, as facts, as lines for a person and as a picture.

Conventions
-----------
Epochs are told in the numbers of the log, whether it counts from 1 or from 0.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.config import Selection
from farm.errors import LogError, StorageError
from farm.selection.metrics import read_metrics
from farm.selection.training_log import TrainingLog, read_log, read_people, read_snapshots
from farm.selection.verdict import judge
from farm.storage import Storage

PICTURES = ("png", "svg")
_COLUMNS = {"loss": "loss", "accuracy": "accuracy", "val_loss": "held-out loss"}
_WIDTH_SIGNS = 96


@dataclass(frozen=True)
class _Settings:
    """How a log is judged: by the default rule, or as the farm judged its own run."""

    style: str
    rule: Selection
    start_loss: float | None = None
    seed: int = 2019


def pick_facts(
    path: Path, *, snapshots: Path | None = None, human: Path | None = None, every: int = 1, plot: Path | None = None
) -> dict[str, Any]:
    """Judge a training log and return the content of verdict.json, with what was read and what should be told besides.

    Parameters
    ----------
    snapshots
        A table of the epochs to choose from, perhaps with measures of their samples; without it every `every`-th.
    human
        JSON with the same measures of people's pieces.
    plot
        A picture to write, .png or .svg.

    Returns
    -------
    As in verdict.json, and besides: `log`, `epochs` (how many), `epochs_from` (0 or 1: how this log counts), `columns`
    (what was read from where), `at_pick` (loss, accuracy, val_loss of the picked epoch), `notes`, `plot`.

    Raises
    ------
    LogError
        When one of the files cannot be read or written, or they do not fit together.
    """
    if every < 1:
        raise LogError(f"--every {every}: there is no such step from epoch to epoch; give 1 or more")
    ending = _ending(plot) if plot is not None else ""
    log = read_log(path)
    notes = [*log.notes]
    candidates = _candidates(log, snapshots, every)
    if snapshots is not None and every != 1:
        notes.append(f"--every {every} is not used: the candidates are the snapshots")
    people = read_people(human) if human is not None else None
    if people is not None and snapshots is None:
        notes.append("--human is not used: without --snapshots there are no samples to hold against people")
    settings = _settings(path)
    verdict = judge(
        *(log.records, candidates, people, settings.rule, settings.style),
        start_loss=settings.start_loss,
        seed=settings.seed,
    )
    facts = {
        **verdict,
        "log": str(path),
        "epochs": len(log.records),
        "epochs_from": log.counts_from,
        "columns": log.named,
        "at_pick": _at(log, verdict["epoch"]),
        "notes": [*notes, *_unused(log)],
        "plot": None if plot is None else str(plot),
    }
    if plot is not None:
        from farm.website.pick_figure import draw

        _write(plot, draw(log.records, facts, settings.start_loss, ending))
    return facts


def pick_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the facts in words: the epoch, why, the numbers that matter, and what should be known besides."""
    first, _, why = facts["reason"].partition(". ")
    text = [f"{first.removesuffix('.')}.", *textwrap.wrap(why, _WIDTH_SIGNS), ""]
    plateau = facts["plateau"]
    band = [str(plateau[end]) for end in ("first", "flat") if plateau[end] is not None]
    numbers = {
        "verdict": facts["verdict"] + (", provisional" if facts["provisional"] else ""),
        "confidence": f"{facts['confidence']:.0%}",
        "plateau": "from epoch " + " to ".join(band) if band else "none",
        "blow-up": "none" if facts["blow_up"] is None else f"epoch {facts['blow_up']}",
    }
    if facts["epoch"] is not None:
        at = [f"{word} {facts['at_pick'][name]:.4g}" for name, word in _COLUMNS.items() if name in facts["at_pick"]]
        numbers["at the pick"] = ", ".join(at)
        numbers["neighbours"] = ", ".join(map(str, facts["neighbours"])) or "none"
    if facts["flags"]:
        numbers["flags"] = ", ".join(facts["flags"])
    numbers["epochs"] = f"{facts['epochs']} in {facts['log']}"
    text += [f"{name:12} {value}" for name, value in numbers.items()]
    if facts["epochs_from"] == 0:
        text += ["", *_counting(facts)]
    text += [f"note: {note}" for note in facts["notes"]]
    return [*text, *([f"picture: {facts['plot']}"] if facts["plot"] else [])]


def _counting(facts: Mapping[str, Any]) -> list[str]:
    """Return how a log that begins with epoch 0 is to be read beside files whose names count from 1."""
    told = f"Epochs count from 0, as in {facts['log']}."
    if facts["epoch"] is not None:
        told += f" Names that count from 1, as those of Keras's ModelCheckpoint do, call this one {facts['epoch'] + 1}."
    return textwrap.wrap(told, _WIDTH_SIGNS)


def _candidates(log: TrainingLog, snapshots: Path | None, every: int) -> list[dict[str, Any]]:
    """Return what to choose from; none when every epoch may be taken."""
    if snapshots is not None:
        return read_snapshots(snapshots, log)
    if every == 1 or not log.records:
        return []
    epochs = log.every(every)
    if not epochs:
        raise LogError(f"{log.path}: --every {every} leaves no epoch ({log.extent()}); give a smaller number")
    return [{"epoch": epoch} for epoch in epochs]


def _settings(path: Path) -> _Settings:
    """Return the rule, and for a run of the farm what its recipe.json says, so that it is judged as it was."""
    recipe = path.with_name("recipe.json")
    if path.name != "metrics.jsonl" or not recipe.is_file():
        return _Settings(path.stem, Selection())
    try:
        about = json.loads(recipe.read_bytes())
        return _Settings(
            path.resolve().parent.parent.name,
            Selection.model_validate(about["recipe"]["selection"]),
            about.get("start_loss"),
            about["seed"],
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LogError(
            f"{recipe}: is not the recipe of a run of the farm; copy {path.name} elsewhere to judge it by itself"
        ) from error


def _at(log: TrainingLog, epoch: int | None) -> dict[str, float]:
    """Return the columns that were judged, at an epoch."""
    metrics = read_metrics(log.records)
    columns = {"loss": metrics.loss, "accuracy": metrics.accuracy, "val_loss": metrics.heldout}
    index = metrics.epochs.tolist().index(epoch) if epoch is not None else 0
    return {name: float(values[index]) for name, values in columns.items() if epoch is not None and values is not None}


def _unused(log: TrainingLog) -> list[str]:
    """Return which columns are there but have too few values to be judged."""
    metrics = read_metrics(log.records)
    if len(metrics.loss) == 0:
        return []
    columns: Sequence[tuple[str, Any]] = (("accuracy", metrics.accuracy), ("val_loss", metrics.heldout))
    return [
        f"{name} has too few values to be judged: four fifths of the epochs must have one"
        for name, values in columns
        if name in log.named and values is None
    ]


def _ending(plot: Path) -> str:
    ending = plot.suffix.lower().removeprefix(".")
    if ending not in PICTURES:
        found = f"the ending {plot.suffix!r}" if plot.suffix else "a name without an ending"
        raise LogError(f"{plot}: {found} is not known; name a .png or .svg file")
    return ending


def _write(plot: Path, picture: bytes) -> None:
    try:
        Storage(plot.resolve().parent).write_bytes(plot.name, picture)
    except StorageError as error:
        why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else None
        raise LogError(f"{plot}: cannot be written: {why or error}; name a file in a folder of yours") from error
