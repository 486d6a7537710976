"""Where a curve levels off, and whether the held-out loss can be trusted to say so.

Conventions
-----------
Series are float arrays, one value per epoch, finite; positions are indices from 0. Everything is a share of the
progress, from where the curve starts to its limit, so that the unit cancels out.
"""

from dataclasses import dataclass

import numpy as np

from farm.config import Selection
from farm.selection.events import MAD_TO_SIGMA, smooth

_MIN_EPOCHS = 4  # fewer tell nothing about levelling off


@dataclass(frozen=True)
class HeldOut:
    """What the held-out loss says; `first`, `most`, `best` and `near` are indices into the region that was read."""

    tracks: bool  # fell with the training loss and stayed down
    usable: bool  # tracks and has levelled off: the signal to pick by
    rises: bool  # after its best, by more than the rule allows
    near: int  # first index at which it has done all but the flat share of its drop
    first: int  # first index as good as its best
    most: int  # the same with half the margin; the lowest of the epochs that smoothing cannot tell from it
    best: int  # index of its lowest from `first` on
    best_loss: float
    rise: float  # after the best, as a share of its drop
    gap: float  # held-out minus training loss at the end, as a share of its drop
    creep: float  # still gained per ten epochs, as a share of the loss


def limit(values: np.ndarray) -> float:
    """Return the level a loss reaches: the lowest median of windows of a twelfth of it, not its minimum."""
    window = max(1, len(values) // 12)
    return float(np.min(np.median(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)))


def plateau(values: np.ndarray, first: float, share: float, width: int) -> int | None:
    """Return the first index that has done all but `share` of the way from `first` to the limit, and stays.

    `values` is smoothed over `width` epochs, and must stay there for as many. None when there is no progress.
    """
    lowest = limit(values)
    if first <= lowest:
        return None
    reached = smooth(values, width) <= lowest + share * (first - lowest)
    held = min(width, len(values))
    stays = np.lib.stride_tricks.sliding_window_view(np.pad(reached, (0, held - 1), mode="edge"), held).all(axis=1)
    found = np.flatnonzero(stays)
    return int(found[0]) if len(found) else None


def late_gain(smoothed: np.ndarray) -> float:
    """Return what the loss still won in the last quarter, from the medians at both ends of it."""
    quarter = smoothed[-(max(2, len(smoothed) // 4) + 1) :]
    tenth = max(1, len(quarter) // 10)
    return float(np.median(quarter[:tenth]) - np.median(quarter[-tenth:]))


def roughness(loss: np.ndarray, drop: float) -> float:
    """Return the scatter from epoch to epoch: deviation of the second differences over sqrt 6, a share of `drop`."""
    if len(loss) < _MIN_EPOCHS or drop <= 0:
        return 0.0
    bends = np.diff(loss, 2)
    return float(np.median(np.abs(bends - np.median(bends))) / np.sqrt(6) / drop)


def unsettled(smoothed: np.ndarray, drop: float) -> float:
    """Return the share of epochs that stand above their best so far by more than a tenth of `drop`."""
    if len(smoothed) < _MIN_EPOCHS or drop <= 0:
        return 0.0
    return float(np.mean(smoothed - np.minimum.accumulate(smoothed) > 0.1 * drop))


def read_heldout(
    heldout: np.ndarray, loss: np.ndarray, start_loss: float | None, rule: Selection, width: int
) -> HeldOut | None:
    """Return what a held-out loss says about the same epochs as `loss`; None for fewer than four.

    It is usable where it fell, stayed down (`rise`), kept company with the training loss (`gap`) and levelled
    off: gained little in the last quarter, or creeps on by less than `creep_share` of the loss per ten epochs.
    Overfitting runs fail on rise or gap: there its minimum comes while the music still loops. A run from trained
    weights (`start_loss`) is fluent from the start and fails on neither. As good as the best is within
    `heldout_margin_share` of the best loss or of the drop, whichever is more. What the noise may feign counts nowhere.
    """
    if len(heldout) < _MIN_EPOCHS:
        return None
    smoothed = smooth(heldout, width)
    lowest, feigned = float(np.min(smoothed)), _feigned(heldout, width)
    own_drop = max(float(heldout[0]), float(np.median(heldout[:3]))) - lowest
    drop = max(own_drop, start_loss - lowest) if start_loss is not None else own_drop
    if drop <= 0:
        best = int(np.argmin(heldout))
        return HeldOut(False, False, False, best, best, best, best, float(heldout[best]), 0.0, 0.0, 0.0)
    tail = max(2, len(smoothed) // 12)
    end, end_loss = float(np.median(smoothed[-tail:])), float(np.median(loss[-tail:]))
    gained = max(0.0, late_gain(smoothed) - feigned)
    unit = max(abs(lowest), own_drop)
    creep = gained / max(2, len(smoothed) // 4) * 10 / unit if unit else 0.0
    converged = gained <= rule.not_converged_share * drop and creep <= rule.learning_share
    margin = rule.heldout_margin_share * unit
    near, first, nearer = (
        int(np.flatnonzero(smoothed <= lowest + feigned + above)[0])
        for above in (max(margin, rule.flat_share * own_drop), margin, margin / 2)
    )
    best = first + int(np.argmin(heldout[first:]))
    most = nearer + int(np.argmin(heldout[nearer : nearer + width]))
    after = float(np.median(smoothed[max(len(smoothed) - tail, int(np.argmin(smoothed))) :]))
    rise, gap = max(0.0, after - lowest - feigned) / drop, (end - end_loss) / drop
    rises = rise > rule.heldout_rise_share
    apart = rises or gap > rule.heldout_gap_share
    tracks = drop >= rule.learn_share * abs(lowest + drop) and (start_loss is not None or not apart)
    usable = tracks and (converged or creep <= rule.creep_share)
    return HeldOut(tracks, usable, rises, near, first, most, best, float(heldout[best]), rise, gap, creep)


def _feigned(values: np.ndarray, width: int) -> float:
    """Return by how much the lowest of smoothed values may lie too low for noise alone: three deviations of a median.

    The deviation is that of the second differences of the later half, where the trend bends little.
    """
    bends = np.diff(values[-max(_MIN_EPOCHS, len(values) // 2) :], 2)
    deviation = float(np.median(np.abs(bends))) * MAD_TO_SIGMA / np.sqrt(6)
    return 3 * deviation * float(np.sqrt(np.pi / 2 / width))
