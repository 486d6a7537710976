"""Training one style from its event arrays to metrics and snapshots; a killed run goes on as if it never was.

After every epoch, in this order: the snapshot, the line of metrics, then (every few seconds) the state to resume
from. Whatever instant a run is killed at, the state is that of a whole epoch whose line and snapshot are there;
epochs after it are trained again and come out the same, so their lines and snapshots are written again, equal.

Conventions
-----------
Losses are nats per note, bits are base 2; both count all fields and STOP's time. A number that is not finite is
null in the metrics. Seconds are those of the clock.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from farm import layout
from farm.composing.player import architecture
from farm.config import Recipe, Training
from farm.errors import StyleError
from farm.music.batches import Part, blocks, whole
from farm.music.encoding import Encoding
from farm.storage import Storage
from farm.training import snapshots

if TYPE_CHECKING:
    from farm.training.trainee import Trainee

LEAST_GAIN_BITS = 0.005  # a smaller step down of the held-out bits is none
LEAST_EPOCHS = 10  # patience does not end a run before
RETRY_SHARE = 1 / 3  # of the learning rate, after a blow-up
_RISE_SHARE = 0.5  # of the progress so far, lost within an epoch: a blow-up
_LEAST_RISE_NATS = 0.5
_STATE_SECONDS = 15.0
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
        When there is too little music, or training breaks in its first epoch and again at a third of the rate.
    """
    parts, judged, weak = _split(style, train, heldout)
    prepare(n_threads)
    from farm.training.trainee import Trainee

    network, training = recipe.network, recipe.training
    shape = architecture(embedding=network.embedding, layers=network.layers, head=network.head)
    trainee = Trainee(shape, encoding, training, parts, judged, dropout=network.dropout, seed=seed, weights=start_from)
    facts = {
        "kernel": trainee.kernel,
        "device": f"{trainee.kernel}, {n_threads} thread{'s' if n_threads > 1 else ''}",
        "weak_reference": weak,
        "notes": trainee.n_notes,
    }
    storage.write_json(layout.run_recipe(style, run), _about(recipe, seed, shape, encoding, facts, start_from))
    record = _Record(storage, style, run, shape, encoding)
    stopped = _run(trainee, record, training, report)
    best = _best(record.lines)
    if best is None:
        raise StyleError(
            f"{style}: the loss broke at epoch 1 and again after a retry at a third of the learning rate; "
            "lower training.learning_rate"
        )
    return {
        **facts,
        "epochs": record.lines[-1]["epoch"],
        "stopped": stopped,
        "best_epoch": best["epoch"],
        "best_val_bits_per_note": best["val_bits_per_note"],
        "retries": record.retries,
        "seconds": round(sum(line["seconds"] for line in record.lines), 1),
    }


def prepare(n_threads: int) -> None:
    """Load the training library without its chatter and set its threads; call it before anything else loads Keras.

    In a process that has trained before, the threads stay as they were.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import keras
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with suppress(RuntimeError):  # TensorFlow is running already
            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere: TensorFlow's libraries write to it before any setting can stop them."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def stop_reason(lines: Sequence[Mapping[str, Any]], training: Training) -> str | None:
    """Return why training is over after these epochs, or None when it goes on.

    Parameters
    ----------
    lines
        Metrics, one record per epoch, ascending.
    """
    if not lines:
        return None
    if lines[-1]["epoch"] >= training.max_epochs:
        return "max_epochs"
    if sum(line["seconds"] for line in lines) >= training.max_minutes * 60:
        return "max_minutes"
    best = _best(lines)
    waited = lines[-1]["epoch"] - (best["epoch"] if best else 0)
    if waited >= training.patience_epochs and lines[-1]["epoch"] >= LEAST_EPOCHS:
        return "patience"
    return None


def is_broken(losses: Sequence[float | None]) -> bool:
    """Tell whether the last of these training losses is no number or has lost half of the progress before it.

    Examples
    --------
    >>> is_broken([4.0, 3.0, 2.5]), is_broken([4.0, 3.0, 3.9]), is_broken([4.0, None]), is_broken([])
    (False, True, True, False)
    """
    if not losses:
        return False
    *before, last = losses
    if last is None or not math.isfinite(last):
        return True
    good = [loss for loss in before if loss is not None]
    if not good:
        return False
    return last - min(good) > max(_RISE_SHARE * (good[0] - min(good)), _LEAST_RISE_NATS)


class _Record:
    """What a run has written, and the state it goes on from."""

    def __init__(self, storage: Storage, style: str, run: str, shape: Mapping[str, Any], encoding: Encoding) -> None:
        self._storage, self._style, self._run = storage, style, run
        self._shape, self._encoding = shape, encoding
        self.lines: list[dict[str, Any]] = []
        self.retries = 0
        self._state: dict[str, np.ndarray] = {}
        self._unsaved = False
        self._saved_at = time.monotonic()

    def resume(self) -> dict[str, np.ndarray] | None:
        """Return the state of an earlier attempt, None without one; `lines` are then those up to it."""
        found = snapshots.load_state(self._storage, self._style, self._run)
        if found is None:
            return None
        self._state, facts = found
        self.retries = facts["retries"]
        lines = {line["epoch"]: line for line in self._storage.read_lines(layout.metrics(self._style, self._run))}
        self.lines = [lines[epoch] for epoch in range(1, facts["epoch"] + 1)]
        return self._state

    def add_broken(self, line: dict[str, Any]) -> None:
        """Write the line of an epoch that broke; it stands until the epoch is trained again."""
        self._storage.append_json(layout.metrics(self._style, self._run), line)

    def add(self, line: dict[str, Any], weights: Mapping[str, np.ndarray], state: dict[str, np.ndarray]) -> None:
        """Write a whole epoch: snapshot, metrics, and now and then the state."""
        snapshots.save(
            self._storage,
            self._style,
            self._run,
            line["epoch"],
            weights=weights,
            architecture=self._shape,
            encoding=self._encoding,
        )
        self._storage.append_json(layout.metrics(self._style, self._run), line)
        self.lines.append(line)
        self._state, self._unsaved = state, True
        if time.monotonic() - self._saved_at >= _STATE_SECONDS:
            self.save_state()

    def save_state(self) -> None:
        """Write the state of the last whole epoch, unless it is there already."""
        if self._unsaved:
            facts = {"epoch": len(self.lines), "retries": self.retries}
            snapshots.save_state(self._storage, self._style, self._run, self._state, facts)
            self._unsaved = False
        self._saved_at = time.monotonic()


def _run(trainee: "Trainee", record: _Record, training: Training, report: Report | None) -> str:
    """Train epoch after epoch; return why it ended."""
    state = record.resume() or trainee.state()
    trainee.set_learning_rate(training.learning_rate * RETRY_SHARE**record.retries)
    trainee.restore(state)
    try:
        while (stopped := stop_reason(record.lines, training)) is None:
            line = _epoch(trainee, len(record.lines) + 1, record.retries)
            if is_broken([*(past["loss"] for past in record.lines), line["loss"]]):
                record.add_broken(line)
                if record.retries:
                    return "blow-up"
                record.retries = 1
                trainee.set_learning_rate(training.learning_rate * RETRY_SHARE)
                trainee.restore(state)
                continue
            state = trainee.state()
            record.add(line, trainee.average(), state)
            if report is not None:
                report(_progress(record.lines, training))
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


def _best(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the line with the lowest held-out bits, of near equals the first; None without a number."""
    best = None
    for line in lines:
        bits = line["val_bits_per_note"]
        if bits is not None and (best is None or bits < best["val_bits_per_note"] - LEAST_GAIN_BITS):
            best = line
    return best


def _progress(lines: Sequence[Mapping[str, Any]], training: Training) -> dict[str, Any]:
    """Return what a person wants to know while waiting; the time left is the longest it can take."""
    last, spent = lines[-1], sum(line["seconds"] for line in lines)
    by_epochs = spent / len(lines) * (training.max_epochs - len(lines))
    return {
        "epoch": last["epoch"],
        "max_epochs": training.max_epochs,
        "loss": last["loss"],
        "val_bits_per_note": last["val_bits_per_note"],
        "seconds_left": round(max(min(by_epochs, training.max_minutes * 60 - spent), 0), 1),
    }


def _split(
    style: str, train: Sequence[np.ndarray], heldout: Sequence[np.ndarray]
) -> tuple[list[Part], list[Part], bool]:
    """Return the parts to train on, those held out, and whether these are the ends of the same pieces."""
    parts, judged = whole(train), whole(heldout)
    weak = not judged
    if weak:
        parts, judged = blocks(train)
    notes = sum(part.n_notes for part in parts)
    if notes < _LEAST_NOTES or not judged:
        raise StyleError(f"{style}: only {notes} notes to train on, at least {_LEAST_NOTES} are needed; add more music")
    return parts, judged, weak


def _about(
    recipe: Recipe,
    seed: int,
    shape: Mapping[str, Any],
    encoding: Encoding,
    facts: Mapping[str, Any],
    start_from: Mapping[str, np.ndarray] | None,
) -> dict[str, Any]:
    """Return what stands beside the weights: the recipe as resolved and all that the run depended on."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "architecture": dict(shape),
        "encoding": encoding.to_json(),
        "from_base": start_from is not None,
        "versions": {name: metadata.version(name) for name in ("keras", "tensorflow", "numpy")},
        **facts,
    }
