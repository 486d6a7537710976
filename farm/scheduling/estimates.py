"""How long jobs take and how much disk: as last time, else from what the same jobs of other styles took, else by size.

Pure. A first farm has no history; then rough costs on one core of a 2.6 GHz server stand in for it.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from farm.config import BASE, Recipe, Training
from farm.corpus.sources import InputFile
from farm.scheduling.kinds import NOTES_PER_SECOND
from farm.scheduling.work import BaseWork, Work

_SECONDS_PER_BYTE = {".mxl": 1.1e-5, ".krn": 2e-5, ".abc": 1e-5, ".musicxml": 1e-6, ".xml": 1e-6, ".mei": 1e-6}
_SECONDS_PER_MIDI_BYTE = 1e-7
_NOTES_PER_BYTE = {".mxl": 0.053, ".mid": 0.12, ".abc": 0.27, ".krn": 0.09}
_SNAPSHOT_BYTES = 6_000_000
_OTHERS = ("read", "baseline", "judge", "publish")

Receipts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Rate:
    """How fast a recipe was trained in this farm, and after how many epochs its runs ended."""

    notes_per_second: float
    epochs: float


@dataclass(frozen=True)
class History:
    """What a farm's receipts say of styles that have none.

    Attributes
    ----------
    rates
        By recipe, of its trainings.
    factors
        By stage, how much longer it took than its first estimate says; 'notes' how many more notes there were.
    """

    rates: Mapping[str, Rate] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)


NO_HISTORY = History()


def history_of(styles: Iterable[tuple[Sequence[InputFile], Receipts, Work]]) -> History:
    """Return what the receipts of a farm's styles come to; the median counts, so that one odd style does not."""
    rates: dict[str, list[tuple[float, float]]] = {}
    factors: dict[str, list[float]] = {}
    for files, receipts, work in styles:
        for key, receipt in receipts.items():
            stage, _, name = key.partition("/")
            result = receipt["result"]
            if stage == "train" and result.get("seconds") and result.get("notes"):
                recipe = next((one for one in work.recipes if one.name == name), None)
                notes = _epoch_notes(result["notes"], recipe.training) if recipe else result["notes"]
                rates.setdefault(name, []).append((notes * result["epochs"] / result["seconds"], result["epochs"]))
            elif stage in _OTHERS and (guess := _first_estimate(stage, files, receipts)) > 0:
                factors.setdefault(stage, []).append(receipt["seconds"] / guess)
        if "read" in receipts and (guess := sum(map(_notes_in, _wanted(files)))) > 0:
            factors.setdefault("notes", []).append(receipts["read"]["result"]["notes"] / guess)
    return History(
        {name: Rate(*(median(values) for values in zip(*found, strict=True))) for name, found in rates.items()},
        {name: median(found) for name, found in factors.items()},
    )


def expected_stage_seconds(
    key: str, files: Sequence[InputFile], receipts: Receipts, recipe: Recipe, history: History = NO_HISTORY
) -> float:
    """Return about how long a job takes on the threads that such jobs had, on one core where none was done."""
    if key in receipts:
        return float(receipts[key]["seconds"])
    stage = key.partition("/")[0]
    if stage == "train":
        return _training_seconds(_notes_of(files, receipts, history), recipe, recipe.training, history)
    return _first_estimate(stage, files, receipts, history) * history.factors.get(stage, 1.0)


def expected_seconds(
    files: Sequence[InputFile], receipts: Receipts, work: Work, history: History = NO_HISTORY
) -> float:
    """Return about how long a whole style takes; the longest starts first."""
    shared = sum(
        expected_stage_seconds(stage, files, receipts, work.recipe, history)
        for stage in ("read", "baseline", "publish")
    )
    return shared + sum(
        expected_stage_seconds(f"{stage}/{recipe.name}", files, receipts, recipe, history)
        for recipe in work.recipes
        for stage in ("train", "judge")
    )


def expected_base_seconds(work: BaseWork, files: Sequence[Sequence[InputFile]], receipts: Receipts) -> float:
    """Return about how long a base takes on one core; `files` are those of each style that it hears."""
    key = f"{BASE}/{work.recipe.name}"
    if key in receipts:
        return float(receipts[key]["seconds"])
    notes = sum(_notes_in(file) for listed in files for file in _wanted(listed))
    return _training_seconds(notes, work.recipe, work.recipe.training_of_base, NO_HISTORY)


def expected_bytes(files: Sequence[InputFile], recipes: Sequence[Recipe]) -> int:
    """Return about how much disk a style's artifacts take."""
    notes = sum(map(_notes_in, _wanted(files)))
    return round(notes * 30 + sum(_SNAPSHOT_BYTES * min(40, recipe.training.max_epochs) for recipe in recipes))


def _first_estimate(stage: str, files: Sequence[InputFile], receipts: Receipts, history: History = NO_HISTORY) -> float:
    """Return about how long a stage other than training takes on one core, without any history of it."""
    if stage == "read":
        wanted = _wanted(files)
        return sum(_SECONDS_PER_BYTE.get(_ending(file), _SECONDS_PER_MIDI_BYTE) * file.bytes for file in wanted)
    return {"baseline": _notes_of(files, receipts, history) / 10_000, "judge": 30.0, "publish": 3.0}[stage]


def _training_seconds(notes: float, recipe: Recipe, training: Training, history: History) -> float:
    usual = Rate(NOTES_PER_SECOND[recipe.network.kind], training.max_epochs)
    rate = history.rates.get(recipe.name, usual)
    epochs = min(rate.epochs, training.max_epochs)
    return min(_epoch_notes(notes, training) * epochs / rate.notes_per_second, training.max_minutes * 60)


def _epoch_notes(notes: float, training: Training) -> float:
    return min(notes, training.epoch_notes or notes)


def _notes_of(files: Sequence[InputFile], receipts: Receipts, history: History) -> float:
    if "read" in receipts:
        return float(receipts["read"]["result"]["notes"])
    return sum(map(_notes_in, _wanted(files))) * history.factors.get("notes", 1.0)


def _wanted(files: Sequence[InputFile]) -> list[InputFile]:
    return [file for file in files if file.is_wanted]


def _ending(file: InputFile) -> str:
    return os.path.splitext(file.path)[1].lower()


def _notes_in(file: InputFile) -> float:
    return _NOTES_PER_BYTE.get(_ending(file), 0.1) * file.bytes
