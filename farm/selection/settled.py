"""When a run may end: once the rule that will pick its epoch can expect nothing better from going on.

Pure over the metrics, so that a run that was killed and resumed ends where it would have ended. Whatever ends a run
here, the verdict on it does not call it unfinished: both ask `farm.selection.curve.analyse`.

Conventions
-----------
Epochs count from 1; a wait is a number of epochs.
"""

import math

import numpy as np

from farm.config import Selection
from farm.selection.curve import Curve, analyse
from farm.selection.metrics import Metrics
from farm.selection.plateau import limit

LEAST_EPOCHS = 10  # fewer say nothing about what would follow
_WAIT_SHARE = 0.25  # of the epochs so far: progress slows down like a power of time, so waiting takes longer too
_LITTLE_SHARE = 1 / 3  # of the first loss: less is what a network learns of mere frequencies, before it learns music
_LITTLE_EPOCHS = 50  # such a level, or none, is not the last one before
_ASKED = 20  # times while the number of epochs doubles, about: often enough, and nearly free
_SPIKE_EPOCHS = 10  # a run may come back from a shorter trouble


def settled(metrics: Metrics, rule: Selection, patience_epochs: int, start_loss: float | None = None) -> str | None:
    """Return why nothing better can follow, or None when something may.

    Where the held-out loss decides, that is when its pick lies back by `patience_epochs` and by a quarter of the run:
    nothing since was better by more than the rule's margin. Where it does not, as in small corpora that are learnt by
    heart, the run goes on until the training curve has been flat for as long, so that there are snapshots on both
    sides of the shoulder for the samples to decide between.

    Parameters
    ----------
    start_loss
        See `farm.selection.curve.analyse`.

    Returns
    -------
    levelled (the held-out loss), flat (the training loss), did-not-learn, blow-up (a trouble that lasts), or None.
    """
    n = metrics.n_recorded
    if n < LEAST_EPOCHS or n % max(1, n // _ASKED):
        return None
    curve = analyse(metrics, rule, start_loss)
    if curve.blow_up is not None:
        trouble = n - curve.region[1]
        lasts = curve.blow_up_kind == "nan" or trouble > max(_SPIKE_EPOCHS, math.ceil(rule.spike_share * n))
        return "blow-up" if lasts else None
    if n < max(_LITTLE_EPOCHS, patience_epochs) and _progress_share(curve, start_loss) < _LITTLE_SHARE:
        return None
    if curve.verdict == "did-not-learn":
        return "did-not-learn"
    if curve.plateau_first is None or not curve.converged:
        return None
    reached = [curve.target if curve.by_heldout else curve.plateau_flat]
    if curve.heldout is not None:
        reached.append(int(metrics.epochs[curve.region[0] + curve.heldout.first]))
    wait = max(patience_epochs, math.ceil(_WAIT_SHARE * n))
    if any(epoch is None or int(metrics.epochs[-1]) - epoch < wait for epoch in reached):
        return None
    return "levelled" if curve.by_heldout else "flat"


def before_trouble(metrics: Metrics, rule: Selection, start_loss: float | None = None) -> tuple[int | None, int] | None:
    """Return where the trouble of a run began that broke before it had levelled off, and the last epoch before it.

    Such a run is worth another try from there; for one that had levelled, and has what it needs, it is None. The
    first is None where the table shows no trouble yet, the second 0 when no epoch is to be trusted.
    """
    curve = analyse(metrics, rule, start_loss)
    levelled = curve.converged and curve.plateau_first is not None and len(curve.metrics.loss) >= LEAST_EPOCHS
    if levelled and _progress_share(curve, start_loss) >= _LITTLE_SHARE:
        return None
    return curve.blow_up, curve.safe_last or 0


def _progress_share(curve: Curve, start_loss: float | None) -> float:
    """Return how much of its first loss a run has won, 0 to 1."""
    loss, (begin, end) = curve.metrics.loss, curve.region
    if begin == end:
        return 0.0
    first = max(float(np.median(loss[:3])), float(loss[0]), -math.inf if start_loss is None else start_loss)
    return (first - limit(loss[begin:end])) / abs(first) if first else 0.0
