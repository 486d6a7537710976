"""How sure a pick is: the same rule on redrawn curves and with moved thresholds.

Conventions
-----------
Deterministic for a seed. The confidence is the share of replicas that agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from farm.config import Selection
from farm.selection.candidates import Levels
from farm.selection.events import smooth, smoothing_width
from farm.selection.metrics import Metrics

_NEIGHBOURHOOD_EPOCHS = 10  # residuals are drawn from this far: the noise changes along a run
_SHOULDERS = (0.6, 1.0, 1.5)
_WIDTHS = (3, 5, 9)
_JUMPS = (2 / 3, 1.0, 4 / 3)

Picker = Callable[[Metrics, Selection, Levels, int], int | None]


def confidence(
    pick: int | None, picker: Picker, table: Metrics, rule: Selection, against: Levels, epochs: Sequence[int], seed: int
) -> float:
    """Return the share of replicas whose pick is at most one snapshot from `pick`, 0 to 1.

    A replica draws the residuals around the smoothed curve anew (bootstrap: Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, chapter 9) and moves shoulder, held-out margin, smoothing and blow-up threshold together
    with the samples' levels. No pick agrees with no pick. With very many candidates a twentieth of them is one
    snapshot.

    Parameters
    ----------
    picker
        The rule itself: table, rule, levels and smoothing width to an epoch.
    epochs
        The candidates, ascending.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    near = max(1, len(epochs) // 20)
    agree = 0
    for index in range(rule.replicas):
        shoulder, jump = _SHOULDERS[index % 3], _JUMPS[index // 3 % 3]
        width = _WIDTHS[(index + index // 3 + index // 9) % 3]
        moved = rule.model_copy(
            update={
                "plateau_share": min(1.0, rule.plateau_share * shoulder),
                "heldout_margin_share": rule.heldout_margin_share * shoulder,
                "jump_share": rule.jump_share * jump,
            }
        )
        copy_factor, loop_factor = rng.uniform(0.8, 1.2, 2)
        shifted = against.moved(copy_factor, loop_factor)
        other = picker(_redrawn(table, rng), moved, shifted, width)
        if other is None or pick is None:
            agree += other is pick
        else:
            apart = np.searchsorted(epochs, other) - np.searchsorted(epochs, pick)
            agree += abs(int(apart)) <= near
    return round(agree / rule.replicas, 2)


def _redrawn(table: Metrics, rng: np.random.Generator) -> Metrics:
    """Return the run with each residual replaced by that of a near epoch; the first epoch stays."""
    n = len(table.loss)
    if n < 4:
        return table
    reach = _NEIGHBOURHOOD_EPOCHS
    source = np.clip(np.arange(n) + rng.integers(-reach, reach + 1, n), 1, n - 1)
    source[0] = 0
    width = smoothing_width(table.n_recorded)

    def redraw(values: np.ndarray) -> np.ndarray:
        trend = smooth(values, width)
        return trend + (values - trend)[source]

    return replace(
        table,
        loss=redraw(table.loss),
        accuracy=None if table.accuracy is None else redraw(table.accuracy),
        heldout=None if table.heldout is None else redraw(table.heldout),
    )
