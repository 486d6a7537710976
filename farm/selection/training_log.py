"""Anybody's training log as the records that a verdict is made of, with the snapshots and people's level beside it.

A log is the farm's metrics.jsonl, or a CSV as Keras's CSVLogger and others write it, whatever they call their columns.

Conventions
-----------
Epochs keep the numbers of the log: some count from 0, as CSVLogger does. What is no number in the log stays none:
`farm.selection.metrics` says what that means. Accuracy is a share.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import LogError
from farm.selection.metrics import LAST_EPOCH, number, whole
from farm.selection.table_text import EPOCH_NAMES, Table, read_table, read_text, shown

_LOSS = ("loss", "train_loss", "training_loss")
_ACCURACY = (
    *("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy"),
    *("train_accuracy", "training_accuracy", "train_acc"),
)
_HELDOUT = ("val_", "valid_", "validation_", "eval_")
_NAMES = {"loss": _LOSS, "val_loss": tuple(f"{prefix}loss" for prefix in _HELDOUT)}
_SHARES = ("accuracy", "val_accuracy")
_MOST_SHARE = 1.01  # rounding may take a share past 1
_PEOPLE = (
    "lcs",
    "distinct4",
    "loop_share",
    "known2",
    "known3",
    "ngram_bits",
)  # measures that `farm.selection.candidates` asks for


@dataclass(frozen=True)
class TrainingLog:
    """A log's records, one per epoch and ordered by it.

    `named` says for each of loss, accuracy, val_loss, val_accuracy that is there which columns it was read from;
    `counts_from` is the number of a first epoch, 0 or 1.
    """

    path: Path
    records: tuple[dict[str, Any], ...]
    counts_from: int
    named: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def epochs(self) -> list[int]:
        return [record["epoch"] for record in self.records]

    def every(self, step: int) -> list[int]:
        """Return every `step`-th epoch: the tenth is 10, or 9 in a log that begins with 0."""
        return [epoch for epoch in self.epochs if (epoch + 1 - self.counts_from) % step == 0]

    def extent(self) -> str:
        """Return how many epochs there are, and which, in words."""
        if not self.records:
            return "no epochs"
        counted = ", counted from 0" if self.counts_from == 0 else ""
        return f"{len(self.records)} epochs, {self.epochs[0]} to {self.epochs[-1]}{counted}"


def read_log(path: Path) -> TrainingLog:
    """Return a training log; one with a header alone has no records.

    The last line of an epoch counts, but a cell that it leaves empty keeps what an earlier line of the epoch said:
    some programs write a line for training and one for the held-out music. A loss that is missing then is no number.
    Accuracy in percent becomes a share.

    Raises
    ------
    LogError
        With file and line, when the file is no table, has no column of epochs or loss, or a cell is no number.
    """
    table = read_table(path)
    epoch_name = _epoch_name(table)
    if not any(name in table.columns for name in _LOSS):
        raise LogError(f"{path}: no column of the loss, found {_list(table.columns)}; name one 'loss'")
    accuracies = (*_ACCURACY, *_lone(table.columns))
    heldout = tuple(f"{prefix}{name}" for prefix in _HELDOUT for name in accuracies)
    names = {**_NAMES, "accuracy": accuracies, "val_accuracy": heldout}
    rows: dict[int, dict[str, Any]] = {}
    named: dict[str, tuple[str, ...]] = {}
    again = set()
    for line, record in table.records:
        epoch = _epoch(path, line, record.get(epoch_name))
        row = {"epoch": epoch, **{name: value for name, value in rows.get(epoch, {}).items() if name in names}}
        again |= {epoch} & rows.keys()
        for name, spellings in names.items():
            spelling = next((spelling for spelling in spellings if spelling in record), None)
            if spelling is not None:
                row[name] = _value(path, line, spelling, record[spelling])
                named[name] = tuple(dict.fromkeys((*named.get(name, ()), spelling)))
        if "broke_at" in record:
            row["broke_at"] = record["broke_at"]  # a run of the farm that went on from an earlier epoch
        rows[epoch] = row
    records = [{"loss": None, **rows[epoch]} for epoch in sorted(rows)]  # pandas leaves a cell empty for nan
    notes = [*table.notes, *_told_names(named, epoch_name), *_as_shares(records)]
    if again:
        notes.append(f"{len(again)} of {len(rows)} epochs are there more than once; what was written last counts")
    return TrainingLog(path, tuple(records), 0 if 0 in rows else 1, named, tuple(notes))


def read_snapshots(path: Path, log: TrainingLog) -> list[dict[str, Any]]:
    """Return the snapshots of a table, with whatever numbers it has; every one is an epoch of the log.

    Raises
    ------
    LogError
        When the file is no table of epochs, is without any, or names one that the log does not have.
    """
    table = read_table(path)
    name, known = _epoch_name(table), set(log.epochs)
    snapshots = [
        {key: cell for key, cell in record.items() if not isinstance(cell, list | dict)}
        | {"epoch": _epoch(path, line, record.get(name))}
        for line, record in table.records
    ]
    if not snapshots:
        raise LogError(f"{path}: there are no snapshots in it; give one a line, or leave out --snapshots")
    strange = sorted({snapshot["epoch"] for snapshot in snapshots} - known)
    if strange:
        what = f"epoch {strange[0]} is" if len(strange) == 1 else f"epochs {_list(map(str, strange))} are"
        raise LogError(
            f"{path}: {what} not in {log.path} ({log.extent()}); count the snapshots as the log counts, "
            "and name only epochs that it has"
        )
    return snapshots


def read_people(path: Path) -> dict[str, Any]:
    """Return people's level from a JSON file; LogError when it holds none, or a measure that is no pair of numbers."""
    wanted = "give the measures as {\"lcs\": [mean, 95th percentile], ...}, perhaps under 'corpus_heldout'"
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise LogError(f"{path}: is no JSON ({error}); {wanted}") from error
    level = found.get("corpus_heldout", found) if isinstance(found, dict) else None
    if not isinstance(level, dict):
        raise LogError(f"{path}: is no JSON object of measures, found {shown(found)}; {wanted}")
    if not any(name in level for name in _PEOPLE):
        raise LogError(f"{path}: no measure of {_list(_PEOPLE)}, found {_list(level)}; {wanted}")
    for name in _PEOPLE:
        pair = level.get(name, [0, 0])
        if not isinstance(pair, list) or len(pair) < 2 or not all(isinstance(value, int | float) for value in pair):
            raise LogError(f"{path}: {name} is no pair of numbers, found {shown(pair)}; {wanted}")
    return {name: value for name, value in level.items() if name != "quotes"}  # a table has none to hold against them


def _epoch_name(table: Table) -> str:
    """Return the column of the epochs; one without a name only where it is the first."""
    for name in EPOCH_NAMES:
        if name in table.columns and (name in EPOCH_NAMES[:2] or table.columns[0] == name):
            return name
    raise LogError(f"{table.path}: no column of epochs, found {_list(table.columns)}; name one 'epoch'")


def _epoch(path: Path, line: int, cell: Any) -> int:
    epoch = None if isinstance(cell, bool) else whole(cell)
    if epoch is None:
        found = "is missing" if cell is None else f"{shown(cell)} is no whole number from 0 to {LAST_EPOCH:,}"
        raise LogError(f"{path}:{line}: epoch {found}; number every epoch")
    return epoch


def _value(path: Path, line: int, name: str, cell: Any) -> float | None:
    """Return a cell as metrics have it; nan and inf are numbers here, and mean that the loss broke."""
    try:
        return None if cell is None else float(cell)
    except (TypeError, ValueError) as error:
        raise LogError(
            f"{path}:{line}: {name} {shown(cell)} is no number; write one, nan, or leave the cell empty"
        ) from error


def _lone(columns: Sequence[str]) -> list[str]:
    """Return the one column that looks like an accuracy of training, when there is just one."""
    of_training = [name for name in columns if not name.startswith(_HELDOUT) and "top" not in name]
    found = [name for name in of_training if re.search(r"(^|_)acc(uracy)?(_\d+)?$", name)]
    return found if len(found) == 1 else []


def _told_names(named: Mapping[str, Sequence[str]], epoch_name: str) -> list[str]:
    """Return which columns were taken for what, where their names alone do not say it."""
    told = [] if epoch_name in EPOCH_NAMES[:2] else ["the epochs are read from the first column, which has no name"]
    for name, spellings in named.items():
        if any(spelling != name for spelling in spellings):
            told.append(f"{name} is read from {_list(spellings)}")
    return told


def _as_shares(records: Iterable[dict[str, Any]]) -> list[str]:
    """Turn accuracies in percent into shares, in place; leave out what is neither. Return what was done."""
    told, rows = [], list(records)
    for name in _SHARES:
        known = [value for value in (number(row.get(name)) for row in rows) if value == value]
        if not known or (min(known) >= 0 and max(known) <= _MOST_SHARE):
            continue
        percent = min(known) >= 0 and max(known) <= 100
        for row in rows:
            row[name] = number(row.get(name)) / 100 if percent else None
        what = (
            "is in percent" if percent else f"reaches from {min(known):g} to {max(known):g}, is no share, is left out"
        )
        told.append(f"{name} {what}")
    return told


def _list(names: Iterable[str]) -> str:
    found = [name or "(no name)" for name in names]
    return ", ".join(found[:12]) + (f" and {len(found) - 12} more" if len(found) > 12 else "") or "none"
