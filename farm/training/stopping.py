"""When a run is over, and when it broke: pure rules over the lines of its metrics.

Conventions
-----------
Lines are records of the metrics, one per epoch, ascending from epoch 1. Losses are nats, bits are base 2, both
per note. A value that was not finite is None.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from farm.config import Recipe, Training
from farm.music.encoding import Encoding
from farm.selection.metrics import read_metrics
from farm.selection.settled import settled

LEAST_GAIN_BITS = 0.005  # a smaller step down of the held-out bits is none
RETRY_SHARE = 1 / 3  # of the learning rate, after a blow-up
_RISE_SHARE = 0.5  # of the progress so far, lost within an epoch: a blow-up
_LEAST_RISE_NATS = 0.5


def stop_reason(lines: Sequence[Mapping[str, Any]], recipe: Recipe, start_loss: float | None = None) -> str | None:
    """Return why training is over after these epochs, or None when it goes on.

    Returns
    -------
    levelled, flat, did-not-learn or blow-up, as `farm.selection.settled` says; max_epochs, max_minutes; or None.
    """
    if not lines:
        return None
    training = recipe.training
    found = settled(read_metrics(lines), recipe.selection, training.patience_epochs, start_loss)
    return found or limit_reached(lines, training)


def limit_reached(lines: Sequence[Mapping[str, Any]], training: Training) -> str | None:
    """Return which limit of the recipe ends training after these epochs: max_epochs, max_minutes, or None."""
    if lines[-1]["epoch"] >= training.max_epochs:
        return "max_epochs"
    if sum(line["seconds"] for line in lines) >= training.max_minutes * 60:
        return "max_minutes"
    return None


def untrained_loss(encoding: Encoding) -> float:
    """Return the loss of a network that knows nothing, every class being as likely; nats per note."""
    return sum(math.log(encoding.n_classes[field]) for field in encoding.fields)


def best_line(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the line with the lowest held-out bits, of near equals the first; None without a number."""
    best = None
    for line in lines:
        bits = line["val_bits_per_note"]
        if bits is not None and (best is None or bits < best["val_bits_per_note"] - LEAST_GAIN_BITS):
            best = line
    return best


def is_broken(losses: Sequence[float | None]) -> bool:
    """Tell whether the last of these training losses is no number or has lost half of the progress before it.

    Examples
    --------
    >>> is_broken([4.0, 3.0, 2.5]), is_broken([4.0, 3.0, 3.9]), is_broken([4.0, None]), is_broken([])
    (False, True, True, False)
    """
    if not losses:
        return False
    last = losses[-1]
    if last is None or not math.isfinite(last):
        return True
    good = [loss for loss in losses[:-1] if loss is not None]
    if not good:
        return False
    return last - min(good) > max(_RISE_SHARE * (good[0] - min(good)), _LEAST_RISE_NATS)


def progress(lines: Sequence[Mapping[str, Any]], training: Training) -> dict[str, Any]:
    """Return what a person wants to know while waiting; `seconds_left` is the longest that it can take."""
    last, spent = lines[-1], sum(line["seconds"] for line in lines)
    by_epochs = spent / len(lines) * (training.max_epochs - len(lines))
    return {
        "epoch": last["epoch"],
        "max_epochs": training.max_epochs,
        "loss": last["loss"],
        "val_bits_per_note": last["val_bits_per_note"],
        "seconds_left": round(max(min(by_epochs, training.max_minutes * 60 - spent), 0), 1),
    }
