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
from farm.composing.player import weight_shapes
from farm.config import Network, Recipe, Training
from farm.errors import StyleError
from farm.music.batches import Part
from farm.music.encoding import Encoding
from farm.selection.metrics import read_metrics
from farm.selection.settled import before_trouble
from farm.storage import Storage
from farm.training.backend import prepare
from farm.training.devices import explain, is_gpu_there
from farm.training.memory import available_bytes, estimate_bytes, refuse_what_cannot_fit
from farm.training.parts import split_parts
from farm.training.record import Record
from farm.training.shape import network_shape
from farm.training.stopping import (
    RETRY_SHARE,
    best_line,
    is_broken,
    limit_reached,
    progress,
    stop_reason,
    untrained_loss,
)

if TYPE_CHECKING:
    from farm.training.trainee import Trainee

STYLE_EVERY = 4  # epochs between two questions whether a run is of its style
STYLE_MOST = 60  # epochs after which it is no longer asked

Report = Callable[[dict[str, Any]], None]
OfStyle = Callable[[Mapping[str, np.ndarray]], bool]
"""Tells of averaged weights whether what they compose is of the style yet."""


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
    is_of_style: OfStyle | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Train a style until nothing better can follow or a limit of the recipe, or go on where an earlier attempt ended.

    A loss that breaks before it has levelled is tried again once, from before, at a third of the learning rate.

    Parameters
    ----------
    train, heldout
        Told events (`farm.music.features`) of whole pieces. Without any to hold out the last bars of each piece are
        (`farm.music.batches.blocks`).
    n_threads
        Processor threads; they are set once per process, before the first training.
    start_from
        Weights by name of a network of the same architecture and encoding.
    is_of_style
        Asked where the held-out loss has levelled: for as long as the answer is no, training goes on, up to 60 epochs.
        A base knows a style's notes before it composes them.
    report
        Called after every epoch with epoch, max_epochs, loss, val_bits_per_note, seconds_left.

    Returns
    -------
    epochs, stopped (see `farm.training.stopping.stop_reason`), best_epoch, best_val_bits_per_note, retries, broke_at
    (the epoch that made it try again, or null), weak_reference, notes, seconds, kernel, device.

    Raises
    ------
    StyleError
        When there is too little music or memory, when `start_from` does not fit, when the device fails, or when
        training breaks in its first epoch and again at a third of the rate.
    """
    network = recipe.network
    if not isinstance(network, Network):
        raise TypeError(f"{recipe.name}: this is no recipe of kind lstm")
    shape = network_shape(network, encoding)
    parts, judged, is_weak = split_parts(style, train, heldout)
    if start_from is not None and {n: w.shape for n, w in start_from.items()} != weight_shapes(shape, encoding):
        raise StyleError(f"{style}: the base is another network than the recipe's; give both the same network section")
    start_loss = None if start_from is None else untrained_loss(encoding)
    _check_memory(style, network, recipe.training, encoding, parts, judged)
    record = Record(storage, style, run, shape, encoding)
    try:
        backend = prepare(n_threads)
        from farm.training.trainee import Trainee

        trainee = Trainee(shape, encoding, recipe, parts, judged, seed=seed, weights=start_from)
        facts = {
            "kernel": trainee.kernel,
            "device": f"{trainee.kernel}, {n_threads} thread{'s' if n_threads > 1 else ''}",
            "weak_reference": is_weak,
            "notes": trainee.n_notes,
        }
        about = _about(recipe, seed, shape, encoding, backend, start_loss)
        storage.write_json(layout.run_recipe(style, run), {**about, **facts})
        stopped = _run(trainee, record, recipe, start_loss, is_of_style, report)
    except Exception as error:  # of whatever type a backend raises when its device fails; all others go on up
        told = explain(style, error, len(record.lines), recipe.training.batch_windows)
        if told is None:
            raise
        raise told from error
    return {**facts, **_outcome(style, record, stopped)}


def _check_memory(
    style: str,
    network: Network,
    training: Training,
    encoding: Encoding,
    parts: Sequence[Part],
    judged: Sequence[Part],
) -> None:
    """Raise a StyleError when the processor's memory is too small for a training."""
    if is_gpu_there():  # which has a memory of its own
        return
    rows, judged_rows = (sum(part.end for part in some) for some in (parts, judged))
    needed = estimate_bytes(network, training, encoding, rows, judged_rows)
    refuse_what_cannot_fit(style, network, training, needed, available_bytes())


def _about(
    recipe: Recipe, seed: int, shape: dict[str, Any], encoding: Encoding, backend: str, start_loss: float | None
) -> dict[str, Any]:
    """Return what a run was made from, as it lies beside it."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "architecture": shape,
        "encoding": encoding.to_json(),
        "from_base": start_loss is not None,
        "start_loss": start_loss,
        "versions": {name: metadata.version(name) for name in ("keras", backend, "numpy")},
    }


def _run(
    trainee: "Trainee",
    record: Record,
    recipe: Recipe,
    start_loss: float | None,
    is_of_style: OfStyle | None,
    report: Report | None,
) -> str:
    """Train epoch after epoch; return why it ended."""
    training = recipe.training
    state = record.resume()
    trainee.begin(training.learning_rate * (RETRY_SHARE if record.broke_at else 1), state)
    state = trainee.state()
    try:
        while True:
            stopped, broken = stop_reason(record.lines, recipe, start_loss), None
            if stopped == "levelled" and is_of_style is not None and len(record.lines) < STYLE_MOST:
                is_asked = len(record.lines) % STYLE_EVERY == 0
                if not is_asked or not is_of_style(trainee.average()):
                    stopped = limit_reached(record.lines, training)
            if stopped is None:
                line = _epoch(trainee, len(record.lines) + 1, record.broke_at)
                if not is_broken([*(past["loss"] for past in record.lines), line["loss"]]):
                    state = trainee.state()
                    record.add(line, trainee.average(), state)
                    if report is not None:
                        report(progress(record.lines, training))
                    continue
                record.add_broken(line)
                stopped, broken = "blow-up", line["epoch"]
            before = _before(record, recipe, start_loss, broken, state) if stopped == "blow-up" else None
            if before is None:
                return stopped
            record.retry(*before)
            trainee.begin(training.learning_rate * RETRY_SHARE, before[-1])
            state = trainee.state()
    finally:
        record.save_state()  # an interrupt too leaves the last whole epoch to go on from


def _before(
    record: Record, recipe: Recipe, start_loss: float | None, broken: int | None, state: dict[str, np.ndarray]
) -> tuple[int, int, dict[str, np.ndarray]] | None:
    """Return how a run that broke is tried again, None when it ends with what it has.

    It is tried again once, and only while it had not levelled: from the `state` before the epoch that broke, or
    where the trouble had come on slowly from the weights of the last snapshot before it.

    Parameters
    ----------
    broken
        The epoch that broke, and is not among the lines; None where the lines show the trouble.

    Returns
    -------
    Epoch of the trouble, epoch to go on after, and the state to go on from.
    """
    trouble = before_trouble(read_metrics(record.lines), recipe.selection, start_loss)
    if record.broke_at is not None or trouble is None:
        return None
    began, safe = trouble
    if began is not None and (found := record.weights(safe)) is not None:
        return began, found[0], {f"raw.{name}": array for name, array in found[1].items()}
    return None if broken is None else (broken, len(record.lines), state)


def _epoch(trainee: "Trainee", epoch: int, broke_at: int | None) -> dict[str, Any]:
    """Train and judge one epoch; return its line of metrics.

    Where the gradients or what they made of the weights are no numbers, the loss from before is not told either.
    """
    began = time.perf_counter()
    learned = trainee.train_epoch(epoch)
    held = {"loss": math.nan, "accuracy": math.nan}
    if all(map(math.isfinite, learned.values())):
        held = trainee.judge()
    if not math.isfinite(held["loss"]):
        learned = {**learned, "loss": math.nan}
    line = {
        **learned,
        "val_loss": held["loss"],
        "val_accuracy": held["accuracy"],
        "bits_per_note": learned["loss"] / math.log(2),
        "val_bits_per_note": held["loss"] / math.log(2),
        "seconds": time.perf_counter() - began,
    }
    finite = {name: round(value, 6) if math.isfinite(value) else None for name, value in line.items()}
    return {"epoch": epoch, **finite, "broke_at": broke_at}


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
        "retries": int(record.broke_at is not None),
        "broke_at": record.broke_at,
        "seconds": round(sum(line["seconds"] for line in record.lines), 1),
    }
