"""The columns of a metrics table that a verdict needs, cleaned: the door of this room.

Conventions
-----------
Epochs keep the numbers of the table, from 1 in the farm and from 0 elsewhere. Losses are in nats per note or any
other unit, negative ones too; accuracy is a share. Position inside an array is called index.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LAST_EPOCH = 10**9  # of a number that may be an epoch
_LARGEST = 1e100
_KNOWN_SHARE = 0.8  # of the epochs must carry a value for an optional column to be used


@dataclass(frozen=True)
class Metrics:
    """The columns of a run up to its first broken epoch; accuracy and held-out loss may be absent."""

    epochs: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None
    heldout: np.ndarray | None
    n_recorded: int  # epochs in the table, the broken ones included
    broken_epoch: int | None  # the first whose loss is no number
    retry: tuple[int, int] | None = None  # the epoch at which the loss broke, and the one that training went on from

    def to_json(self) -> dict[str, Any]:
        """Return the columns as plain data, from which `from_json` makes the same."""
        columns = {"epoch": self.epochs, "loss": self.loss, "accuracy": self.accuracy, "val_loss": self.heldout}
        return {
            **{name: None if values is None else values.tolist() for name, values in columns.items()},
            "recorded": self.n_recorded,
            "broken_epoch": self.broken_epoch,
            "retry": None if self.retry is None else list(self.retry),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Metrics":
        accuracy, heldout = (
            None if data[name] is None else np.array(data[name], float) for name in ("accuracy", "val_loss")
        )
        retry = None if data["retry"] is None else (data["retry"][0], data["retry"][1])
        epochs, loss = np.array(data["epoch"], int), np.array(data["loss"], float)
        return cls(epochs, loss, accuracy, heldout, data["recorded"], data["broken_epoch"], retry)

    def epoch_at(self, index: int) -> int | None:
        """Return the epoch at `index`; one past the end is the broken epoch, if there is one."""
        return int(self.epochs[index]) if index < len(self.epochs) else self.broken_epoch


def read_metrics(table: Sequence[Mapping[str, Any]]) -> Metrics:
    """Return the columns of a metrics table, ordered by epoch, up to the first loss that is no number.

    The last record of an epoch counts: a resumed run writes some again. Records without a whole epoch from 0 on, or
    whose loss is missing or an empty text, are left out; a loss that is null, NaN or infinite is no number. Accuracy
    (0 to 1) and held-out loss (`val_loss`) are used when four fifths of the epochs have them; a gap repeats the value
    before. `broke_at` is what a run says that went on at a lower learning rate. An empty table gives empty columns.

    Examples
    --------
    >>> read_metrics([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": None}]).broken_epoch
    2
    """
    rows: dict[int, Mapping[str, Any]] = {}
    for record in table:
        epoch = whole(record.get("epoch"))
        if epoch is not None and record.get("loss", "") != "":
            rows[epoch] = record
    epochs = np.array(sorted(rows), int)
    loss, accuracy, heldout = (
        np.array([number(rows[epoch].get(name)) for epoch in epochs.tolist()], float)
        for name in ("loss", "accuracy", "val_loss")
    )
    retried = [(number(row.get("broke_at")), epoch) for epoch, row in sorted(rows.items())]
    retries = [(int(broke_at), epoch - 1) for broke_at, epoch in retried if broke_at >= 1]
    accuracy[(accuracy < 0) | (accuracy > 1)] = math.nan
    broken = np.flatnonzero(~np.isfinite(loss))
    end = int(broken[0]) if len(broken) else len(epochs)
    return Metrics(
        epochs=epochs[:end],
        loss=loss[:end],
        accuracy=_filled(accuracy[:end]),
        heldout=_filled(heldout[:end]),
        n_recorded=len(epochs),
        broken_epoch=int(epochs[end]) if len(broken) else None,
        retry=retries[0] if retries else None,
    )


def number(value: Any) -> float:
    """Return a value of a table as a finite number; None, text that is no number and infinities are NaN.

    So is what is past 1e100, which no loss comes back from: sums and squares of the others stay finite.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return found if abs(found) <= _LARGEST else math.nan


def whole(value: Any) -> int | None:
    """Return a value of a table as an epoch: a whole number from 0 on, else None."""
    found = number(value)
    return int(found) if 0 <= found <= LAST_EPOCH and found == int(found) else None


def _filled(column: np.ndarray) -> np.ndarray | None:
    known = np.isfinite(column)
    if len(column) == 0 or known.mean() < _KNOWN_SHARE:
        return None
    last = np.maximum.accumulate(np.where(known, np.arange(len(column)), -1))
    return column[np.where(last < 0, np.flatnonzero(known)[0], last)]
