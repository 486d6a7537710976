"""Training a style as the original program did, with the farm's files: metrics, snapshots, resume.

Conventions
-----------
Losses are nats per *token*, accuracies shares of tokens. `bits_per_note` is bits per token over the style's notes per
token, because a chord's token stands for several notes. It is not comparable with a network of kind lstm: times,
durations and the octaves of chords are not predicted, so nothing is paid for them. As in the original all
epochs are trained, with no guard against a blow-up; only a loss that is no number or `max_minutes` ends a run early.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from farm import layout
from farm.config import PitchTokens, Recipe, Training
from farm.errors import StyleError
from farm.music.encoding import Encoding, decode
from farm.original.tokens import codes, tokenize, vocabulary
from farm.original.windows import Windows
from farm.storage import Storage
from farm.training.backend import prepare
from farm.training.loop import Report
from farm.training.record import Record
from farm.training.stopping import best_line, progress

if TYPE_CHECKING:
    from farm.original.network import TokenTrainee


@dataclass(frozen=True)
class Lesson:
    """A style as such a program sees it."""

    vocabulary: list[str]  # of all pieces, those held out included
    windows: Windows
    heldout: Windows
    is_weak: bool  # the held-out windows are the ends of the same pieces
    notes: int  # to train on
    notes_per_token: float


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
    report: Report | None = None,
) -> dict[str, Any]:
    """Train a style until one of the recipe's limits, or go on where an earlier attempt ended.

    Parameters, result and files are those of `farm.training.loop.fit`; a snapshot's architecture holds the vocabulary.

    Raises
    ------
    StyleError
        When there are too few tokens for a window, or when the first loss is no number.
    """
    network, training = recipe.network, recipe.training
    if not isinstance(network, PitchTokens):
        raise TypeError(f"{recipe.name}: this is no recipe of kind pitch-tokens")
    lesson = make_lesson(style, train, heldout, encoding, training.window_notes, training.heldout_share)
    backend = prepare(n_threads)
    from farm.original.network import TokenTrainee, architecture

    about = architecture(network, training.window_notes, lesson.vocabulary)
    trainee = TokenTrainee(
        about,
        lesson.windows,
        lesson.heldout,
        batch=training.batch_windows,
        learning_rate=training.learning_rate,
        seed=seed,
    )
    facts = {
        "kernel": f"Keras's LSTM on {backend}",
        "device": f"Keras's LSTM on {backend}, {n_threads} thread{'s' if n_threads > 1 else ''}",
        "weak_reference": lesson.is_weak,
        "notes": lesson.notes,
        "targets": len(lesson.windows),
    }
    told = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "architecture": about,
        "encoding": encoding.to_json(),
        "from_base": False,
        "start_loss": None,
        "versions": {name: metadata.version(name) for name in ("keras", backend, "numpy")},
    }
    storage.write_json(layout.run_recipe(style, run), {**told, **facts})
    record = Record(storage, style, run, about, encoding)
    stopped = _run(trainee, record, recipe, lesson, report)
    best = best_line(record.lines)
    if best is None:
        raise StyleError(f"{style}: the loss is no number after epoch 1; lower training.learning_rate")
    return {
        **facts,
        "epochs": record.lines[-1]["epoch"],
        "stopped": stopped,
        "best_epoch": best["epoch"],
        "best_val_bits_per_note": best["val_bits_per_note"],
        "retries": 0,
        "seconds": round(sum(line["seconds"] for line in record.lines), 1),
    }


def make_lesson(
    style: str,
    train: Sequence[np.ndarray],
    heldout: Sequence[np.ndarray],
    encoding: Encoding,
    length: int,
    heldout_share: float,
) -> Lesson:
    """Return the windows of a style; where no held-out piece fills one, the last of those to train on are held out.

    Parameters
    ----------
    train, heldout
        Event arrays; only their onsets and pitches are heeded.
    """
    pieces = [[tokenize(decode(events, encoding)) for events in part] for part in (train, heldout)]
    names = vocabulary([*pieces[0], *pieces[1]])
    windows, judged = (Windows.build([codes(piece, names) for piece in part], length) for part in pieces)
    is_weak = not len(judged)
    if is_weak:
        windows, judged = windows.parted(heldout_share)
    notes = sum(len(events) - 2 for events in train)
    tokens = sum(map(len, pieces[0]))
    if not len(windows) or not len(judged):
        raise StyleError(
            f"{style}: {tokens} tokens to train on do not give windows of {length} with some held out; "
            "add more music or lower training.window_notes"
        )
    return Lesson(names, windows, judged, is_weak, notes, notes / tokens)


def _run(trainee: "TokenTrainee", record: Record, recipe: Recipe, lesson: Lesson, report: Report | None) -> str:
    """Train epoch after epoch; return why it ended."""
    state = record.resume()
    if state is not None:
        trainee.go_on(state)
    try:
        while (stopped := _limit(record.lines, recipe.training)) is None:
            line = _epoch(trainee, len(record.lines) + 1, lesson.notes, lesson.notes_per_token)
            if line["loss"] is None:
                record.add_broken(line)
                return "blow-up"
            record.add(line, trainee.weights(), trainee.state())
            if report is not None:
                report(progress(record.lines, recipe.training))
        return stopped
    finally:
        record.save_state()  # an interrupt too leaves the last whole epoch to go on from


def _epoch(trainee: "TokenTrainee", epoch: int, notes: int, notes_per_token: float) -> dict[str, Any]:
    """Train and judge one epoch; return its line of metrics."""
    began = time.perf_counter()
    learned = trainee.train_epoch(epoch)
    trained_seconds = time.perf_counter() - began
    held = trainee.judge()
    bits = {
        name: nats / math.log(2) / notes_per_token for name, nats in (("", learned["loss"]), ("val_", held["loss"]))
    }
    line: Mapping[str, float] = {
        **learned,
        "val_loss": held["loss"],
        "val_accuracy": held["accuracy"],
        **{f"{name}bits_per_note": value for name, value in bits.items()},
        "notes_per_second": notes / trained_seconds,
        "seconds": time.perf_counter() - began,
    }
    finite = {name: round(value, 6) if math.isfinite(value) else None for name, value in line.items()}
    return {"epoch": epoch, **finite}


def _limit(lines: Sequence[Mapping[str, Any]], training: Training) -> str | None:
    """Return which limit these epochs reached, None while there are more to come: nothing else ended the original."""
    if len(lines) >= training.max_epochs:
        return "max_epochs"
    is_late = sum(line["seconds"] for line in lines) >= training.max_minutes * 60
    return "max_minutes" if is_late else None
