"""A made training curve: its records, its known truth, and the same run in other units or gone on for longer.

The truth of a curve is that of its making: the trend without the noise, its known end and its known break. Good are
the epochs at which the trend has done 78 to 93 % of its fall, in loss and in accuracy, before it breaks: between
these accuracies the samples of 49 real networks had stopped to loop and had not begun to copy. Where the held-out
loss falls with the training loss and stays down, good are all epochs from 95 % of its fall on.

Conventions
-----------
A curve is a list of records as in metrics.jsonl, epochs from 1. `expect` is the range of good epochs, both ends
included, or None when nothing may be picked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_FLUENT, _COPIES = 0.78, 0.93  # of the way
TOP = 4.3  # nats, of an untrained network


@dataclass(frozen=True)
class Made:
    """One made curve."""

    family: str
    records: list[dict[str, Any]]
    expect: tuple[int, int] | None
    broken_from: int | None = None  # first epoch that is lost
    start_loss: float | None = None
    levels: bool = True  # more flat epochs do not change what the curve is

    def kept(self, n_epochs: int | None = None) -> list[int]:
        """Return the epochs with a snapshot, about twenty of the run; as often in `n_epochs` when it went on."""
        step = max(1, len(self.records) // 20)
        return list(range(step, (n_epochs or len(self.records)) + 1, step))

    def is_inside(self, epoch: int | None) -> bool:
        """Tell whether a pick is a good epoch, or none where there is none."""
        if self.expect is None or epoch is None:
            return self.expect is None and epoch is None
        return self.expect[0] <= epoch <= self.expect[1]

    def is_right(self, epoch: int | None) -> bool:
        """Tell whether a pick among `kept` is a good epoch or at most one snapshot from one."""
        if self.expect is None or epoch is None:
            return self.expect is None and epoch is None
        kept = self.kept()
        good = [index for index, one in enumerate(kept) if self.is_inside(one)]
        if not good:  # the window lies between two snapshots: these two are within one of it
            after = int(np.searchsorted(kept, self.expect[0]))
            return kept.index(epoch) in (after - 1, after)
        return good[0] - 1 <= kept.index(epoch) <= good[-1] + 1

    def scaled(self, factor: float) -> "Made":
        """Return the curve with its losses in another unit."""
        names = ("loss", "val_loss")
        records = [
            row | {name: row[name] * factor for name in names if row.get(name) is not None} for row in self.records
        ]
        return replace(self, records=records, start_loss=None if self.start_loss is None else factor * self.start_loss)

    def longer(self, epochs: int = 100) -> list[dict[str, Any]]:
        """Return the records of the run had it gone on as flat as its last fifth, at most twenty epochs, backwards."""
        end = len(self.records)
        last = self.records[-max(1, min(20, end // 5)) :][::-1]
        return self.records + [{**last[n % len(last)], "epoch": end + 1 + n} for n in range(epochs)]


@dataclass(frozen=True)
class Setting:
    """What curves of every family come with."""

    n: int
    noise: float  # of the fall
    accuracy: bool
    heldout: str  # none, tracks or overfits


def accuracy_of(loss: np.ndarray) -> np.ndarray:
    """Return the accuracy of a loss, as small networks have it."""
    return np.exp(-0.28 * np.maximum(loss, 0) ** 1.5)


def way(values: np.ndarray) -> np.ndarray:
    """Return how much of its way a falling trend has done, 0 to 1 at its lowest."""
    return (values[0] - values) / max(values[0] - values.min(), 1e-12)


def _window(ways: Iterable[np.ndarray]) -> tuple[int, int]:
    """Return the epochs from which every way stays above `_FLUENT`, and the last before all are above `_COPIES`."""
    slowest = np.minimum.reduce(list(ways))
    first = int(np.flatnonzero(slowest < _FLUENT)[-1]) + 2
    return first, max(first, int(np.flatnonzero(slowest < _COPIES)[-1]) + 1)


def make(
    name: str,
    rng: np.random.Generator,
    setting: Setting,
    trend: np.ndarray,
    *,
    broken_at: int | None = None,
    turns_at: int | None = None,
    nothing: bool = False,
    levels: bool = True,
) -> Made:
    """Return the curve of a trend, with noise and the columns of the setting.

    Parameters
    ----------
    trend
        Loss without noise; NaN where it is no number.
    broken_at, turns_at
        Indices: from the first on all is lost; what is good lies before the second, the first when None.
    """
    n, end = len(trend), next((at for at in (turns_at, broken_at) if at is not None), len(trend))
    whole = trend[:end]
    known = whole[np.isfinite(whole)]
    scatter = setting.noise * (known.max() - known.min() if len(known) else 0.0)
    loss = trend + scatter * rng.standard_normal(n)
    accuracy = np.clip(accuracy_of(trend) + setting.noise * rng.standard_normal(n), 0, 1)
    heldout = None
    if setting.heldout == "tracks":
        heldout = 0.3 + 1.02 * trend + scatter * rng.standard_normal(n)
    elif setting.heldout == "overfits":
        heldout = _overfitting(trend) + scatter * rng.standard_normal(n)
    expect: tuple[int, int] | None = None
    if not nothing and end > 0:
        ways = [way(whole)]
        if setting.heldout == "tracks":
            expect = int(np.flatnonzero(ways[0] < 0.95)[-1]) + 2 if len(whole) > 1 else 1, len(whole)
        else:
            if setting.accuracy:
                ways.append(way(-accuracy_of(whole)))
            expect = _window(ways) if len(whole) > 1 else (1, 1)
        expect = min(expect[0], len(whole)), expect[1]
    columns = {"loss": loss}
    if setting.accuracy:
        columns["accuracy"] = accuracy
    if heldout is not None:
        columns["val_loss"] = heldout
    broken_from = None if broken_at is None else broken_at + 1
    return Made(name, records_of(columns), expect, broken_from, levels=levels)


def _overfitting(trend: np.ndarray) -> np.ndarray:
    """Return the held-out loss of a small corpus: it turns up when a third of the way is done."""
    known = np.where(np.isfinite(trend), trend, TOP)
    done = np.maximum.accumulate(way(known))
    return np.where(done < 0.35, TOP - 3.4 * done, TOP - 1.19 + 1.6 * (done - 0.35)) + 0 * trend


def records_of(columns: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    n = len(next(iter(columns.values())))
    return [
        {"epoch": index + 1}
        | {name: float(values[index]) if np.isfinite(values[index]) else None for name, values in columns.items()}
        for index in range(n)
    ]
