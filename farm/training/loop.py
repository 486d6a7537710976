"""Training one style from its event arrays to metrics and snapshots; a killed run goes on as if it never was.

Conventions
-----------
Losses are nats per note, bits are base 2; both count all fields and STOP's time. A number that is not finite is
null in the metrics. Seconds are those of the clock. How files follow each other: `farm.training.record`.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from farm import layout
from farm.composing.player import architecture, weight_shapes
from farm.config import Network, Recipe, Training
from farm.errors import StyleError
from farm.music.batches import Part, blocks, whole
from farm.music.encoding import Encoding
from farm.storage import Storage
from farm.training.backend import prepare
from farm.training.record import Record
from farm.training.stopping import RETRY_SHARE, best_line, is_broken, progress, stop_reason

if TYPE_CHECKING:
    from farm.training.trainee import Trainee

_LEAST_NOTES = 32

Report = Callable[[dict[str, Any]], None]


def fit(
    storage: Storage,
    style: str,
    run: str,
    *,
    train: Sequence[np.ndarray],
    heldout: Sequence[np.ndarray],
    encoding: Encoding,
    recipe: Recipe,
    seed: int,
    n_threads: int = 1,
    start_from: Mapping[str, np.ndarray] | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Train a style until one of the recipe's limits, or go on where an earlier attempt ended.

    Parameters
    ----------
    train, heldout
        Event arrays. Without any to hold out the last bars of each piece are (`farm.music.batches.blocks`).
    n_threads
        Processor threads; they are set once per process, before the first training.
    start_from
        Weights by name of a network of the same architecture and encoding.
    report
        Called after every epoch with epoch, max_epochs, loss, val_bits_per_note, seconds_left.

    Returns
    -------
    epochs, stopped (max_epochs, max_minutes, patience or blow-up), best_epoch, best_val_bits_per_note, retries,
    weak_reference, notes, seconds, kernel, device.

    Raises
    ------
    StyleError
        When there is too little music, when `start_from` does not fit, or when training breaks in its first epoch
        and again at a third of the rate.
    """
    network = recipe.network
    if not isinstance(network, Network):
        raise TypeError(f"{recipe.name}: this is no recipe of kind lstm")
    shape = architecture(embedding=network.embedding, layers=network.layers, head=network.head)
    parts, judged, is_weak = _split(style, train, heldout)
    if start_from is not None and {n: w.shape for n, w in start_from.items()} != weight_shapes(shape, encoding):
        raise StyleError(f"{style}: the base is another network than the recipe's; give both the same network section")
    backend = prepare(n_threads)
    from farm.training.trainee import Trainee

    trainee = Trainee(shape, encoding, recipe, parts, judged, seed=seed, weights=start_from)
    facts = {
        "kernel": trainee.kernel,
        "device": f"{trainee.kernel}, {n_threads} thread{'s' if n_threads > 1 else ''}",
        "weak_reference": is_weak,
        "notes": trainee.n_notes,
    }
    about = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "architecture": shape,
        "encoding": encoding.to_json(),
        "from_base": start_from is not None,
        "versions": {name: metadata.version(name) for name in ("keras", backend, "numpy")},
    }
    storage.write_json(layout.run_recipe(style, run), {**about, **facts})
    record = Record(storage, style, run, shape, encoding)
    stopped = _run(trainee, record, recipe.training, report)
    return {**facts, **_outcome(style, record, stopped)}


def _run(trainee: "Trainee", record: Record, training: Training, report: Report | None) -> str:
    """Train epoch after epoch; return why it ended."""
    state = record.resume()
    trainee.begin(training.learning_rate * RETRY_SHARE**record.retries, state)
    state = trainee.state()
    try:
        while (stopped := stop_reason(record.lines, training)) is None:
            line = _epoch(trainee, len(record.lines) + 1, record.retries)
            if is_broken([*(past["loss"] for past in record.lines), line["loss"]]):
                record.add_broken(line)
                if record.retries:
                    return "blow-up"
                record.retries = 1
                trainee.begin(training.learning_rate * RETRY_SHARE, state)
                continue
            state = trainee.state()
            record.add(line, trainee.average(), state)
            if report is not None:
                report(progress(record.lines, training))
        return stopped
    finally:
        record.save_state()  # an interrupt too leaves the last whole epoch to go on from


def _epoch(trainee: "Trainee", epoch: int, retries: int) -> dict[str, Any]:
    """Train and judge one epoch; return its line of metrics."""
    began = time.perf_counter()
    learned = trainee.train_epoch(epoch)
    held = trainee.judge()
    line = {
        **learned,
        "val_loss": held["loss"],
        "val_accuracy": held["accuracy"],
        "bits_per_note": learned["loss"] / math.log(2),
        "val_bits_per_note": held["loss"] / math.log(2),
        "seconds": time.perf_counter() - began,
    }
    finite = {name: round(value, 6) if math.isfinite(value) else None for name, value in line.items()}
    return {"epoch": epoch, **finite, "retries": retries}


def _outcome(style: str, record: Record, stopped: str) -> dict[str, Any]:
    """Return how a run ended; StyleError when it never got anywhere."""
    best = best_line(record.lines)
    if best is None:
        raise StyleError(
            f"{style}: the loss broke at epoch 1 and again after a retry at a third of the learning rate; "
            "lower training.learning_rate"
        )
    return {
        "epochs": record.lines[-1]["epoch"],
        "stopped": stopped,
        "best_epoch": best["epoch"],
        "best_val_bits_per_note": best["val_bits_per_note"],
        "retries": record.retries,
        "seconds": round(sum(line["seconds"] for line in record.lines), 1),
    }


def _split(
    style: str, train: Sequence[np.ndarray], heldout: Sequence[np.ndarray]
) -> tuple[list[Part], list[Part], bool]:
    """Return the parts to train on, those held out, and whether these are the ends of the same pieces."""
    parts, judged = whole(train), whole(heldout)
    is_weak = not judged
    if is_weak:
        parts, judged = blocks(train)
    notes = sum(part.n_notes for part in parts)
    if notes < _LEAST_NOTES or not judged:
        raise StyleError(f"{style}: only {notes} notes to train on, at least {_LEAST_NOTES} are needed; add more music")
    return parts, judged, is_weak
