"""The rules people use to pick an epoch, which the farm's own is compared with, and where a pick lies beside good ones.

Conventions
-----------
Losses are one an epoch, None or NaN where one is no number; what a rule takes is told as an index from 0.
"""

import math
from collections.abc import Sequence

import numpy as np

try:
    from kneed import KneeLocator
except ImportError:  # the extra `dev` brings it
    KneeLocator = None

MIN_DELTA = 0.01  # nats that EarlyStopping calls better
HAS_KNEED = KneeLocator is not None


def lowest(losses: Sequence[float | None]) -> int:
    """Return the epoch with the lowest loss."""
    return int(np.argmin(_numbers(losses)))


def stopped(losses: Sequence[float | None], patience: int) -> int:
    """Return the epoch at which Keras's EarlyStopping stops, with `MIN_DELTA` and without restoring weights."""
    best, waited = math.inf, 0
    for at, loss in enumerate(_numbers(losses)):
        waited += 1
        if loss < best - MIN_DELTA:
            best, waited = loss, 0
        if waited >= patience:
            return at
    return len(losses) - 1


def knee(losses: Sequence[float | None]) -> int | None:
    """Return the knee that the package kneed finds, with its usual S=1, up to the first loss that is no number."""
    numbers = _numbers(losses)
    end = numbers.index(math.inf) if math.inf in numbers else len(numbers)
    if end < 2 or len(set(numbers[:end])) < 2:
        return None
    found = KneeLocator(range(end), numbers[:end], curve="convex", direction="decreasing").knee
    return None if found is None else int(found)


def nearest(kept: Sequence[int], epoch: int) -> int:
    """Return the snapshot nearest to an epoch; the earlier one when two are as near."""
    return min(kept, key=lambda one: (abs(one - epoch), one))


def side(epoch: int | None, good: Sequence[int]) -> str:
    """Return where a pick lies: in, early, late, between (the good ones on both sides), none; without a window ''."""
    if not good:
        return ""
    if epoch is None:
        return "none"
    if epoch in good:
        return "in"
    return "early" if epoch < min(good) else "late" if epoch > max(good) else "between"


def _numbers(losses: Sequence[float | None]) -> list[float]:
    return [math.inf if loss is None or not math.isfinite(loss) else loss for loss in losses]
