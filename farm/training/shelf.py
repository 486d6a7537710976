"""Which epochs keep their snapshot: spread evenly over what was learnt, pure over the lines of the metrics.

Snapshots are wanted where the network changes, not where the clock ticks: a small corpus learns most within ten
epochs and nothing in the next hundred. So the epochs that stay lie evenly in loss, accuracy and held-out loss
(each as far as it got, from its first value to its best so far) and in the number of epochs, all counted alike.

Conventions
-----------
Lines are records of the metrics, one per epoch, ascending from epoch 1. What is kept later was kept before: nothing
dropped is ever asked for again, and which epochs are kept depends on the lines alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

LIMIT = 40
_LAST = 3  # always there, so that they are when the next epoch breaks; then they stay
_SIGNS = {"loss": 1.0, "val_loss": 1.0, "accuracy": -1.0}  # lower is better after multiplying


class Shelf:
    """The epochs that keep their snapshot after the lines that were added.

    Parameters
    ----------
    limit
        The most epochs that are kept, at least 10.

    Examples
    --------
    >>> shelf = Shelf()
    >>> shelf.add({"epoch": 1, "loss": 3.0})
    >>> shelf.epochs
    [1]
    """

    def __init__(self, lines: Sequence[Mapping[str, Any]] = (), limit: int = LIMIT) -> None:
        self._limit = limit
        self._first: dict[str, float] = {}
        self._best = dict.fromkeys(_SIGNS, math.inf)
        self._reached: dict[int, dict[str, float]] = {}  # the best so far at each kept epoch
        self._for_good: set[int] = set()
        self._best_heldout = 0
        self._broke_at: int | None = None
        for line in lines:
            self.add(line)

    @property
    def epochs(self) -> list[int]:
        """The kept epochs, ascending."""
        return list(self._reached)

    def add(self, line: Mapping[str, Any]) -> None:
        """Put the next epoch on the shelf, and take one off when it is full."""
        epoch = int(line["epoch"])
        if line.get("broke_at") != self._broke_at:
            self._broke_at = line.get("broke_at")
            self._for_good |= set(self.epochs[-_LAST:])
        for name, sign in _SIGNS.items():
            value = line.get(name)
            if value is None:
                continue
            value = sign * float(value)
            self._first.setdefault(name, value)
            if value < self._best[name]:
                self._best[name] = value
                self._best_heldout = epoch if name == "val_loss" else self._best_heldout
        self._reached[epoch] = dict(self._best)
        if len(self._reached) > self._limit:
            del self._reached[self._least_missed()]

    def _least_missed(self) -> int:
        """Return the epoch whose neighbours lie nearest to each other; the earliest of equals."""
        epochs = self.epochs
        stays = {epochs[0], self._best_heldout, *epochs[-_LAST:], *self._for_good}
        free = [at for at, epoch in enumerate(epochs) if epoch not in stays]
        return epochs[min(free, key=lambda at: self._apart(epochs[at - 1], epochs[at + 1]))]

    def _apart(self, earlier: int, later: int) -> float:
        """Return how far two kept epochs lie apart: shares of the way so far, summed over its measures."""
        total = (later - earlier) / max(self._reached)
        for name, first in self._first.items():
            way = first - self._best[name]
            if way > 0:
                before = min(self._reached[earlier][name], first)
                total += (before - self._reached[later][name]) / way
        return total


def kept(lines: Sequence[Mapping[str, Any]], limit: int = LIMIT) -> list[int]:
    """Return the epochs that keep their snapshot after these lines, ascending, at most `limit`."""
    return Shelf(lines, limit).epochs
